# SPDX-License-Identifier: GPL-2.0
"""All that one test makes: hosts, cables, programs; and that it goes away again."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from lib.clock import wait_for
from lib.host import Host
from lib.process import Process, run


def processes_of(inode: int) -> list[int]:
    """The pids of all processes that stand in a network namespace."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if os.stat(f"/proc/{entry}/ns/net").st_ino == inode:
                found.append(int(entry))
        except OSError:  # a kernel thread, or gone by now
            continue
    return found


class World:
    """What a test builds. Use the fixture `world`, which also tears it down."""

    def __init__(self) -> None:
        self.hosts: list[Host] = []
        self.processes: list[Process] = []

    def make_hosts(self, *names: str) -> list[Host]:
        run(
            ("ip", "-batch", "-"),
            input="".join(f"netns add {name}\n" for name in names),
        )
        hosts = [Host(name, self.processes) for name in names]
        for host in hosts:
            host.ip("link", "set", "lo", "up")
        self.hosts += hosts
        return hosts

    def host(self, name: str) -> Host:
        """A new host with nothing but its loopback device."""
        return self.make_hosts(name)[0]

    def cable(self, a: Host, a_device: str, b: Host, b_device: str) -> None:
        """A veth pair between two hosts. Its ends are still down."""
        a.ip(
            "link", "add", "name", a_device, "type", "veth",
            "peer", "name", b_device, "netns", b.name,
        )  # fmt: skip

    def spawn(self, *command: str) -> Process:
        """Starts a program in the guest's own namespace."""
        process = Process(command, "the guest")
        self.processes.append(process)
        return process

    def close(self) -> None:
        """Programs first, as a host that is shut down does it, then the hosts."""
        for process in self.processes:
            if process.running():
                process.signal(signal.SIGTERM)
        for process in self.processes:
            process.stop(timeout=3)
        for host in self.hosts:
            for pid in processes_of(host.inode):
                # it may end by itself between the look and the signal
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for host in self.hosts:
            wait_for(
                lambda host=host: not processes_of(host.inode), 5, f"no process is left on {host}"
            )
            host.close()
        if self.hosts:
            run(
                ("ip", "-batch", "-"),
                input="".join(f"netns del {host.name}\n" for host in self.hosts),
            )
        # The kernel takes namespaces apart in the background; what it has to
        # complain about belongs to this test. Waiting is free in virtual time.
        time.sleep(0.2)
