# SPDX-License-Identifier: GPL-2.0
"""Everything fails that has to do with a pfsync interface: when it is made,
changed, set up and deleted, and when it is told of states."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from failing import at_random, failing, failures, sweep
from lib import pfsync_wire as w
from lib.frames import checksum
from lib.pfsync import CREATOR, GROUP, GROUP_MAC
from lib.pfsync_wire import Action, frame
from lib.rtnl import IFF_UP, RTM_NEWLINK, Rtnl, attribute, link_message

SYNCDEV, SYNCPEER, MAXUPD, DEFER, MARK, MASK, ZONE, TABLE = range(1, 9)
STATES = 11
"""IFLA_PFSYNC_..., those that are set, and one that is read."""
NAME = "pfsync0"
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000
UDP = ("192.0.2.1", 1024, "198.51.100.1", 53)
STATE = w.State.of(UDP, creatorid=CREATOR, src=w.Peer(state=2), dst=w.Peer(state=2))


def nothing() -> None:
    pass


def exists(name: str = NAME) -> bool:
    return name in (found for _, found in socket.if_nameindex())


def u8(kind: int, value: int) -> bytes:
    return attribute(kind, bytes([value]))


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


class Tap:
    """An Ethernet card whose frames this process writes. They are received within the
    system call, so their allocations can be counted."""

    def __init__(self, name: str, address: str) -> None:
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        subprocess.run(["ip", "addr", "add", f"{address}/24", "dev", name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)

    def write(self, data: bytes) -> None:
        os.write(self.fd, data)

    def close(self) -> None:
        os.close(self.fd)


def packet(payload: bytes, proto: int, to: str, mac: bytes, ttl: int = 255) -> bytes:
    """An Ethernet frame of IPv4, from 10.1.0.2."""
    source, target = socket.inet_aton("10.1.0.2"), socket.inet_aton(to)
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0x10, 20 + len(payload), 0, 0x4000, ttl, proto, 0, source, target
    )
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return mac + bytes.fromhex("02000000004d0800") + header + payload


def said(*sections: tuple[Action, object]) -> bytes:
    """A frame of the peer's."""
    return packet(frame(*sections), 240, GROUP, GROUP_MAC)


class Interface:
    """pfsync0, with or without its syncdev."""

    def __init__(self, rtnl: Rtnl, table: str) -> None:
        self.rtnl = rtnl
        self.table = attribute(TABLE, table.encode() + b"\0")

    def add(self, *data: bytes) -> None:
        self.rtnl.add_link(NAME, "pfsync", self.table, *data)

    def change(self, *data: bytes) -> None:
        self.rtnl.change_link(NAME, "pfsync", *data)

    def delete(self) -> None:
        if exists():
            self.rtnl.delete_link(NAME)

    def up(self, up: bool = True) -> None:
        index = self.rtnl.link(NAME).index
        self.rtnl.request(RTM_NEWLINK, link_message(index, IFF_UP if up else 0, IFF_UP))

    def settings(self) -> object:
        """What was configured, whether it is up."""
        link = self.rtnl.link(NAME)
        return {
            kind: link.data.get(kind) for kind in range(SYNCDEV, TABLE + 1)
        }, link.flags & IFF_UP

    def states(self) -> int:
        return struct.unpack("=I", self.rtnl.link(NAME).data[STATES])[0]


def configuration(rtnl: Rtnl, table: str) -> None:
    """An interface is changed, set up and down, deleted."""
    taps = [Tap("s0", "10.1.0.1"), Tap("s1", "10.2.0.1")]
    s0, s1 = (socket.if_nametoindex(name) for name in ("s0", "s1"))
    interface = Interface(rtnl, table)

    def running() -> None:
        interface.add(u32(SYNCDEV, s0))
        interface.up()

    def sweeps(
        name: str,
        prepare: Callable[[], object],
        action: Callable[[], object],
        look: Callable[[], object] | None = None,
    ) -> None:
        sweep(f"pfsync, {table}: {name}", prepare, action, interface.delete, look)

    sweeps("link up", lambda: interface.add(u32(SYNCDEV, s0)), interface.up, interface.settings)
    changes = {
        "syncdev": (u32(SYNCDEV, s1),),
        "no syncdev": (u32(SYNCDEV, 0),),
        "syncpeer": (attribute(SYNCPEER, socket.inet_aton("10.1.0.2")),),
        "syncpeer of IPv6": (attribute(SYNCPEER, socket.inet_pton(socket.AF_INET6, "fd01::2")),),
        "maxupd and defer": (u8(MAXUPD, 9), u8(DEFER, 1)),
        "nosync": (u32(MARK, 1), u32(MASK, 1), attribute(ZONE, struct.pack("=H", 3))),
        "syncdev and all else": (u32(SYNCDEV, s1), u8(MAXUPD, 9), u8(DEFER, 1), u32(MASK, 7)),
    }
    for name, change in changes.items():
        for state, prepare in {
            "down": lambda: interface.add(u32(SYNCDEV, s0)),
            "up": running,
        }.items():
            sweeps(
                f"{name}, while {state}",
                prepare,
                lambda change=change: interface.change(*change),
                interface.settings,
            )
    # It goes down and leaves whatever happens.
    sweeps("link down", running, lambda: interface.up(False))
    sweeps("link del", running, lambda: rtnl.delete_link(NAME))

    def syncdev() -> None:
        subprocess.run(["ip", "link", "add", "s2", "arp", "on", "up", "type", "dummy"], check=True)
        interface.add(u32(SYNCDEV, socket.if_nametoindex("s2")))
        interface.up()

    sweeps("the syncdev is deleted", syncdev, lambda: rtnl.delete_link("s2"))
    for tap in taps:
        tap.close()


def making(rtnl: Rtnl) -> None:
    """An interface is made."""
    tap = Tap("s0", "10.1.0.1")
    interface = Interface(rtnl, "conntrack")
    syncdev = u32(SYNCDEV, socket.if_nametoindex("s0"))
    add = lambda: interface.add(syncdev)  # noqa: E731
    sweep("pfsync: link add", nothing, add, interface.delete, exists)
    tap.close()


def flush() -> None:
    subprocess.run(["conntrack", "-F"], check=True, capture_output=True)


def frames(rtnl: Rtnl) -> None:
    """What a peer says, and packets that make, use and end a state here. A state that did
    not fit into memory is counted, and comes when it is said again."""
    tap = Tap("s0", "10.1.0.1")
    interface = Interface(rtnl, "conntrack")
    mac = bytes.fromhex(Path("/sys/class/net/s0/address").read_text().strip().replace(":", ""))
    datagram = struct.pack("!HHHH", 1024, 9, 9, 0) + b"x"
    mine = packet(datagram, 17, "10.1.0.1", mac, ttl=64)
    insert = said((Action.INS, STATE))
    cases = {
        "an insert": ((), insert),
        "an update of nothing": ((), said((Action.UPD_C, w.Update(STATE.id, CREATOR)))),
        "an update": ((insert,), said((Action.UPD, STATE.but(expire=900)))),
        "a request": ((insert,), said((Action.UPD_REQ, STATE.name))),
        "a deletion": ((insert,), said((Action.DEL_C, STATE.name))),
        "a request for all": ((insert,), said((Action.UPD_REQ, w.Id(bytes(8), bytes(4))))),
        "a clear": ((insert,), said((Action.CLR, w.Clear(CREATOR)))),
        "a first packet": ((), mine),
        "a second packet": ((mine,), mine),
    }
    for name, (before, data) in cases.items():
        lost = 0
        for n in range(1, 100):
            interface.add(u32(SYNCDEV, socket.if_nametoindex("s0")))
            interface.change(u8(DEFER, 1))
            interface.up()
            for frame_before in before:
                tap.write(frame_before)
            with failing(n) as came:
                tap.write(data)
            if name == "an insert" and not interface.states():
                lost += 1
                if not came():
                    failures.append("pfsync: an insert made no state")
                tap.write(data)
                if not interface.states():
                    failures.append(f"pfsync: an insert after allocation {n} failed made no state")
            interface.delete()
            flush()
            if not came():
                more = f", {lost} of them lose it" if name == "an insert" else ""
                print(f"- pfsync, {name}: {n - 1} allocations{more}")
                break
        else:
            failures.append(f"pfsync, {name}: no end")
    tap.close()


def traffic() -> None:
    """Allocations fail at random while two hosts tell each other of connections. At the
    end none fails, and all that is there is known to both."""
    script = """
        ip netns add x; ip netns add y
        ip link add eth0 netns x type veth peer name eth0 netns y
        for i in x y; do
            ip -n $i link set lo up; ip -n $i link set eth0 up
            ip -n $i addr add 10.8.0.$((1 + $([ $i = x ]; echo $?)))/24 dev eth0
            ip -n $i link add pfsync0 type pfsync syncdev eth0 local
            ip -n $i link set pfsync0 up
        done"""
    subprocess.run(["sh", "-c", script], check=True)
    time.sleep(20)
    at_random(20)
    for first in range(1000, 1200, 20):
        flows = f"for i in $(seq {first} {first + 19}); do echo x >/dev/udp/10.8.0.2/$i; done"
        subprocess.run(
            ["ip", "netns", "exec", "x", "bash", "-c", flows], check=False, capture_output=True
        )
        time.sleep(0.7)
    at_random(0)
    flows = "for i in 1 2 3; do echo x >/dev/udp/10.8.0.2/$i; done"
    subprocess.run(["ip", "netns", "exec", "x", "bash", "-c", flows], check=False)
    time.sleep(5)
    listed = subprocess.run(
        ["ip", "netns", "exec", "y", "conntrack", "-L", "-p", "udp", "-s", "10.8.0.1"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for port in (1, 2, 3):
        if f"dport={port} " not in listed:
            failures.append(f"pfsync: the connection to port {port} did not arrive")
    for host in ("x", "y"):
        subprocess.run(["ip", "netns", "del", host], check=True)
    print("- pfsync, traffic")
