# SPDX-License-Identifier: GPL-2.0
"""Everything fails that has to do with a carp interface."""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import time

from failing import ENOUGH, at_random, attempt, failing, failures, summary, sweep
from lib.rtnl import IFF_UP, RTM_NEWLINK, Rtnl, attribute, link_message

RTM_NEWADDR, RTM_DELADDR = 20, 21
IFA_ADDRESS, IFA_LOCAL = 1, 2
VHID, CARPDEV, ADVBASE, ADVSKEW, PASS, STATE = range(1, 7)
ALWAYS = (VHID, CARPDEV, ADVBASE, ADVSKEW)


class Links:
    """The devices that the operations are about."""

    def __init__(self) -> None:
        self.rtnl = Rtnl()

    def exists(self, device: str) -> bool:
        return device in (name for _, name in socket.if_nameindex())

    def add(self, *data: bytes) -> None:
        self.rtnl.add_link("carp0", "carp", *data)

    def change(self, *data: bytes) -> None:
        self.rtnl.change_link("carp0", "carp", *data)

    def delete(self) -> None:
        if self.exists("carp0"):
            self.rtnl.delete_link("carp0")

    def up(self, up: bool = True) -> None:
        flags = IFF_UP if up else 0
        index = self.rtnl.link("carp0").index
        self.rtnl.request(RTM_NEWLINK, link_message(index, flags, IFF_UP))

    def address(self, kind: int, address: str) -> None:
        packed = socket.inet_aton(address)
        index = self.rtnl.link("carp0").index
        body = struct.pack("=BBBBI", socket.AF_INET, 24, 0, 0, index)
        body += attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
        self.rtnl.request(kind, body, 0x600 if kind == RTM_NEWADDR else 0)

    def settings(self) -> object:
        """What was configured, the state aside."""
        link = self.rtnl.link("carp0")
        data = link.data
        return {key: data.get(key) for key in ALWAYS}, link.address, link.flags & IFF_UP


def u8(kind: int, value: int) -> bytes:
    return attribute(kind, bytes([value]))


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def make_parent(name: str) -> None:
    subprocess.run(["ip", "link", "add", name, "arp", "on", "up", "type", "dummy"], check=True)
    subprocess.run(["ip", "addr", "add", "10.9.0.9/24", "dev", name], check=True)


def configuration(links: Links) -> None:
    for parent in ("p0", "p1"):
        make_parent(parent)
    p0, p1 = (socket.if_nametoindex(parent) for parent in ("p0", "p1"))
    full = (u8(VHID, 1), u32(CARPDEV, p0), attribute(PASS, b"secret"))

    def nothing() -> None:
        pass

    def running() -> None:
        links.add(*full)
        links.address(RTM_NEWADDR, "10.9.0.1")
        links.up()
        links.change(u8(STATE, 2))

    sweep(
        "link add", nothing, lambda: links.add(*full), links.delete, lambda: links.exists("carp0")
    )
    sweep(
        "link add, the second",
        lambda: links.rtnl.add_link("carp9", "carp", u8(VHID, 9), full[1]),
        lambda: links.add(*full),
        lambda: (links.delete(), links.exists("carp9") and links.rtnl.delete_link("carp9")),
        lambda: links.exists("carp0"),
        # nearly all are the kernel's own, and failed one by one above
        every=4,
    )
    sweep(
        "link add without a parent",
        nothing,
        links.add,
        links.delete,
        lambda: links.exists("carp0"),
        every=4,
    )
    sweep(
        "carpdev, the first", links.add, lambda: links.change(*full), links.delete, links.settings
    )
    changes = {
        "vhid": (u8(VHID, 2),),
        "carpdev": (u32(CARPDEV, p1),),
        "carpdev and vhid": (u32(CARPDEV, p1), u8(VHID, 3)),
        "no carpdev": (u32(CARPDEV, 0),),
        "advbase and advskew": (u8(ADVBASE, 3), u8(ADVSKEW, 200)),
    }
    for name, change in changes.items():
        sweep(
            f"{name}, while up",
            running,
            lambda c=change: links.change(*c),
            links.delete,
            links.settings,
        )
    sweep("pass", running, lambda: links.change(attribute(PASS, b"other")), links.delete)
    sweep(
        "force backup",
        running,
        lambda: links.change(u8(STATE, 1)),
        links.delete,
    )
    sweep("link up", lambda: links.add(*full), links.up, links.delete, links.settings)
    sweep("link down", running, lambda: links.up(False), links.delete, links.settings)
    sweep(
        "address add",
        running,
        lambda: links.address(RTM_NEWADDR, "10.9.0.2"),
        links.delete,
        addresses,
    )
    sweep(
        "address del",
        running,
        lambda: links.address(RTM_DELADDR, "10.9.0.1"),
        links.delete,
        addresses,
    )
    # It leaves whatever happens.
    sweep("link del", running, lambda: links.rtnl.delete_link("carp0"), links.delete)
    sweep(
        "parent del",
        lambda: (
            make_parent("p2"),
            links.add(u8(VHID, 1), u32(CARPDEV, socket.if_nametoindex("p2"))),
        ),
        lambda: links.rtnl.delete_link("p2"),
        links.delete,
    )
    for parent in ("p0", "p1"):
        links.rtnl.delete_link(parent)


def addresses() -> object:
    found = subprocess.run(
        ["ip", "-4", "-o", "addr", "show", "dev", "carp0"],
        check=True,
        capture_output=True,
        text=True,
    )
    return re.findall(r"inet (\S+)", found.stdout)


def namespaces() -> None:
    """Each is made in a process of its own, whose end takes it away."""

    def unshare() -> None:
        os.unshare(os.CLONE_NEWNET)

    errors = 0
    for n in range(1, ENOUGH):
        child = os.fork()
        if not child:
            with failing(n) as came:
                outcome = attempt(unshare)
            os._exit((2 if outcome else 0) | (1 if came() else 0))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        errors += status >> 1
        if not status & 1:
            summary("a new namespace", n - 1, errors)
            return
    failures.append("a new namespace: no end")


def traffic() -> None:
    """What softirqs allocate fails now and then, at random, while two hosts elect."""
    script = """
        ip netns add x; ip netns add y
        ip link add eth0 netns x type veth peer name eth0 netns y
        for i in x y; do
            ip -n $i link set lo up; ip -n $i link set eth0 up
            ip -n $i addr add 10.8.0.$((10 + $([ $i = x ]; echo $?)))/24 dev eth0
            ip -n $i link add carp0 type carp vhid 1 carpdev eth0 pass secret
            ip -n $i addr add 10.8.0.1/24 dev carp0; ip -n $i link set carp0 up
        done"""
    subprocess.run(["sh", "-c", script], check=True)
    at_random(30)
    for _ in range(10):
        for host, state in (("x", "master"), ("y", "master"), ("x", "backup")):
            ip = ["ip", "-n", host, "link", "set", "carp0", "type", "carp", "state", state]
            subprocess.run(ip, check=False, capture_output=True)
            time.sleep(1)
        subprocess.run(
            ["ip", "netns", "exec", "y", "ping", "-q", "-c", "20", "-i", "0.05", "10.8.0.1"],
            check=False,
            capture_output=True,
        )
    at_random(0)
    for host in ("x", "y"):
        subprocess.run(["ip", "netns", "del", host], check=True)
    print("- elections and traffic")
