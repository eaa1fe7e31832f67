# SPDX-License-Identifier: GPL-2.0
"""A host: a network namespace, and what a test does on it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import CompletedProcess
from typing import Any

from lib.capture import Capture
from lib.clock import wait_for
from lib.pinger import Pinger
from lib.process import Process, run
from lib.rtnl import Link, Rtnl

IFA_F_TENTATIVE = 0x40


class Host:
    """A network namespace that plays a host. Made by World.host()."""

    def __init__(self, name: str, processes: list[Process]) -> None:
        self.name = name
        self._processes = processes
        self._captures: list[Capture] = []
        self._rtnl: Rtnl | None = None
        self._fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        self.inode = os.fstat(self._fd).st_ino
        # filled in by those who connect it
        self.address = ""
        self.address6 = ""
        self.mac = ""

    def __str__(self) -> str:
        return self.name

    def close(self) -> None:
        for capture in self._captures:
            capture.close()
        if self._rtnl:
            self._rtnl.close()
        os.close(self._fd)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread stands on this host: sockets that it makes and
        programs that it starts are the host's, and stay so."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.setns(self._fd, os.CLONE_NEWNET)
            yield
        finally:
            os.setns(before, os.CLONE_NEWNET)
            os.close(before)

    # -- programs

    def run(self, *command: str, **options: Any) -> CompletedProcess[str]:
        """Runs a command here; see lib.process.run. Its /sys is the guest's:
        what reads /sys/class/net wants run_with_sysfs()."""
        with self.inside():
            return run(command, where=self.name, **options)

    def run_with_sysfs(self, *command: str, **options: Any) -> CompletedProcess[str]:
        return run(("ip", "netns", "exec", self.name, *command), where=self.name, **options)

    def spawn(self, *command: str, sysfs: bool = False) -> Process:
        """Starts a program here that runs beside the test and is stopped after it."""
        if sysfs:
            command = ("ip", "netns", "exec", self.name, *command)
        with self.inside():
            process = Process(command, self.name)
        self._processes.append(process)
        return process

    # -- configuration

    def ip(self, *arguments: str) -> str:
        """ip(8); returns what it printed."""
        return self.run("ip", *arguments).stdout

    def ip_json(self, *arguments: str) -> list[dict[str, Any]]:
        return json.loads(self.ip("-d", "-s", "-j", *arguments) or "[]")

    def ip_batch(self, *lines: str) -> None:
        """Many lines for ip(8) at the price of one."""
        self.run("ip", "-batch", "-", input="".join(f"{line}\n" for line in lines))

    def show(self, device: str) -> dict[str, Any]:
        """What ip(8) shows of one device, with details and counters."""
        return self.ip_json("link", "show", "dev", device)[0]

    def refused(self, *command: str) -> str:
        """Runs a command, which must fail and change nothing; returns its words."""
        before = self.ip("-d", "-j", "link")
        done = self.run(*command, check=False)
        assert done.returncode, f"{command}: {done}"
        assert self.ip("-d", "-j", "link") == before, f"{command} was refused and changed something"
        return done.stderr.strip()

    def groups(self, device: str) -> list[str]:
        """The IP multicast groups that a device has joined."""
        shown = self.ip_json("maddr", "show", "dev", device)
        return [group["address"] for it in shown for group in it["maddr"] if "address" in group]

    @property
    def rtnl(self) -> Rtnl:
        """rtnetlink by hand."""
        if self._rtnl is None:
            with self.inside():
                self._rtnl = Rtnl()
        return self._rtnl

    def link(self, device: str = "eth0") -> Link:
        """A device's state, at a price that allows to ask often."""
        return self.rtnl.link(device)

    def sysctl(self, name: str, value: int | str | None = None) -> str:
        """Reads a sysctl of this host, or writes it; the name is dotted, and
        device names in it must be without a dot."""
        path = "/proc/sys/" + name.replace(".", "/")
        with self.inside():
            if value is not None:
                with open(path, "w") as f:
                    f.write(f"{value}\n")
            with open(path) as f:
                return f.read().strip()

    def tentative(self) -> list[str]:
        """The devices whose IPv6 addresses are not ready yet."""
        with self.inside(), open("/proc/thread-self/net/if_inet6") as f:
            rows = [line.split() for line in f]
        return [row[5] for row in rows if int(row[4], 16) & IFA_F_TENTATIVE]

    def settle(self) -> None:
        """Waits until duplicate address detection is done with."""
        wait_for(lambda: not self.tentative(), 10, f"no address of {self} is tentative any more")

    # -- packets

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        with self.inside():
            return socket.socket(family, kind, protocol)

    def send_frame(self, frame: bytes, device: str = "eth0") -> None:
        """Puts a whole Ethernet frame on the wire."""
        with self.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
            s.bind((device, 0))
            s.send(frame)

    def capture(self, device: str | None = "eth0", only: str = "") -> Capture:
        """Starts to record what passes a device, or all; `only` is an
        expression of tcpdump's."""
        with self.inside():
            capture = Capture(device, only)
        self._captures.append(capture)
        return capture

    def ping(self, address: str, interval: float = 0.001) -> Pinger:
        """Starts to ping; see lib.pinger."""
        return Pinger(self.spawn, address, interval)
