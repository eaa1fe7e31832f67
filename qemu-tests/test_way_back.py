# SPDX-License-Identifier: GPL-2.0
"""Who receives what is for the virtual MAC: the device through which the way back leads.
The table of carp(4), each cell a test.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from lib import carp as c
from lib import kernel
from lib.host import Host
from lib.lan import Lan
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

VIRTUAL = c.virtual_mac(1)
BEYOND = {4: "203.0.113.1", 6: "2001:db8:ff::1"}
"""An address behind the client, which is the gateway."""
VIP = {4: "198.51.100.1", 6: "2001:db8:1::1"}
CLIENT = {4: "198.51.100.9", 6: "2001:db8:1::9"}
LENGTH = {4: 28, 6: 64}
FIREWALLD = """
table inet firewalld {
    chain rpfilter {
        type filter hook prerouting priority mangle + 10
        icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
        fib saddr . mark . iif oif missing drop
    }
}
"""
COUNT = """
table inet count {
    chain input {
        type filter hook input priority 0
        iifname eth0 icmp type echo-request counter
        iifname eth0 icmpv6 type echo-request counter
        iifname carp0 icmp type echo-request counter
        iifname carp0 icmpv6 type echo-request counter
    }
}
"""


@dataclass
class Site:
    """The master under test, which may be in a container, and who speaks with it."""

    master: Host
    client: Host


def receivers(host: Host) -> set[str]:
    """The devices on which echo requests passed the input chain."""
    lines = host.run("nft", "list", "table", "inet", "count").stdout.splitlines()
    return {
        name
        for line in lines
        for name in ("eth0", "carp0")
        if f'"{name}"' in line and " packets 0 " not in line
    }


def filtered(host: Host, how: str) -> None:
    if how == "firewalld":
        kernel.load("nft_fib_inet", "nft_fib_ipv4", "nft_fib_ipv6")
        host.run("nft", "-f", "-", input=FIREWALLD)
        how = "0"
    for device in ("all", "default", "eth0", "carp0"):
        if device != "eth0" or "eth0" in host.ip("-br", "link"):
            host.sysctl(f"net.ipv4.conf.{device}.rp_filter", how)


PARENT: dict[str, tuple[str, ...]] = {
    "in the subnet": ("198.51.100.2/28", "2001:db8:1::2/64"),
    "in another subnet": ("192.168.77.2/29", "2001:db8:2::2/64"),
    "link-local": (),
    "no address": (),
    "another namespace": ("198.51.100.2/28", "2001:db8:1::2/64"),
}
RECEIVER = {
    "in the subnet": "eth0",
    "in another subnet": "carp0",
    "link-local": "carp0",
    "no address": "carp0",
    "another namespace": "carp0",
}


@pytest.fixture
def inner() -> Iterator[Host]:
    """A container."""
    own = World()
    try:
        yield own.host("inner")
    finally:
        own.close()


def build(lan: Lan, inner: Host, parent: str) -> Site:
    """A master whose parent is numbered so; the client is its gateway."""
    a, client = lan.a, lan.client
    for host in (a, client):
        host.ip("addr", "flush", "dev", "eth0", "scope", "global")
    a.ip_batch(*(f"addr add {address} dev eth0" for address in PARENT[parent]))
    if parent == "no address":
        a.ip("-6", "addr", "flush", "dev", "eth0")
    client.ip_batch(
        *(f"addr add {CLIENT[n]}/{LENGTH[n]} dev eth0" for n in (4, 6)),
        f"addr add {BEYOND[4]}/32 dev lo",
        f"addr add {BEYOND[6]}/128 dev lo",
    )
    for host in (a, client):
        host.settle()
    master = a
    shared = tuple(f"{VIP[n]}/{LENGTH[n]}" for n in (4, 6))
    if parent == "another namespace":
        master = inner
        c.create(a, addresses=(), up=False)
        a.ip("link", "set", "carp0", "netns", inner.name)
        inner.ip_batch(*(f"addr add {x} dev carp0" for x in shared), "link set carp0 up")
    else:
        c.create(a, addresses=shared)
    c.wait_state(master, "master")
    # the route that a user sets: through the device that has the gateway's subnet
    way = "eth0" if parent == "in the subnet" else "carp0"
    for family in (4, 6):
        master.ip(f"-{family}", "route", "add", "default", "via", CLIENT[family], "dev", way)
    master.run("nft", "-f", "-", input=COUNT)
    return Site(master, client)


def ping(host: Host, *arguments: str) -> None:
    host.run("ping", "-c", "2", "-i", "0.2", "-W", "1", *arguments)


CELLS = [
    *((4, how) for how in ("0", "1", "2", "firewalld")),
    # rp_filter is IPv4's alone
    *((6, how) for how in ("0", "firewalld")),
]


@pytest.mark.parametrize("family, how", CELLS, ids=[f"IPv{f}-{how}" for f, how in CELLS])
@pytest.mark.parametrize("parent", PARENT)
def test_table(lan: Lan, inner: Host, parent: str, family: int, how: str) -> None:
    """In both directions, with neighbours unknown at first, and with what is behind the
    gateway."""
    site = build(lan, inner, parent)
    filtered(site.master, how)
    receiver = RECEIVER[parent]
    ping(site.client, VIP[family])
    ping(site.client, "-I", BEYOND[family], VIP[family])
    assert receivers(site.master) == {receiver}
    for host in (site.master, site.client):
        host.ip("neigh", "flush", "all")
    ping(site.master, CLIENT[family])
    ping(site.master, BEYOND[family])
    (entry,) = site.master.ip_json("neigh", "show", CLIENT[family])
    assert entry["dev"] == receiver
    # it is checked again, by an answer to a question of the host's own
    time.sleep(0.1)
    ping(site.client, VIP[family])


# -- what the table does not say


def other_subnet(lan: Lan, inner: Host) -> Site:
    return build(lan, inner, "in another subnet")


def test_a_default_route_through_the_parent(lan: Lan, inner: Host) -> None:
    """The gateway is in the parent's subnet: what comes from behind it is received
    there, and what comes from the shared subnet on carp0, under strict filters."""
    site = other_subnet(lan, inner)
    for family, gateway, length in ((4, "192.168.77.3", 29), (6, "2001:db8:2::3", 64)):
        site.client.ip("addr", "add", f"{gateway}/{length}", "dev", "eth0")
        site.master.ip(f"-{family}", "route", "replace", "default", "via", gateway, "dev", "eth0")
    site.client.settle()
    filtered(site.master, "1")
    filtered(site.master, "firewalld")
    site.master.sysctl("net.ipv4.conf.all.rp_filter", 1)
    for family in (4, 6):
        ping(site.client, VIP[family])
    assert receivers(site.master) == {"carp0"}
    for family in (4, 6):
        ping(site.client, "-I", BEYOND[family], VIP[family])
    assert receivers(site.master) == {"carp0", "eth0"}


def test_addresses_decide_as_they_come_and_go(lan: Lan, inner: Host) -> None:
    """The parent gets an address in the shared subnet, and loses it again."""
    site = other_subnet(lan, inner)

    def receiver() -> set[str]:
        site.master.run("nft", "reset", "counters")
        site.master.run("nft", "delete", "table", "inet", "count")
        site.master.run("nft", "-f", "-", input=COUNT)
        for family in (4, 6):
            ping(site.client, VIP[family])
        return receivers(site.master)

    both = ("198.51.100.2/28", "2001:db8:1::2/64")
    assert receiver() == {"carp0"}
    site.master.ip_batch(*(f"addr add {address} dev eth0" for address in both))
    site.master.settle()
    assert receiver() == {"eth0"}
    site.master.ip_batch(*(f"addr del {address} dev eth0" for address in both))
    assert receiver() == {"carp0"}
    # one that is the interface's alone, and only while it is there
    site.master.ip_batch(*(f"addr add {address} dev eth0" for address in both))
    site.master.ip("addr", "add", "172.16.0.1/24", "dev", "carp0")
    site.client.ip("addr", "add", "172.16.0.9/24", "dev", "eth0")
    ping(site.client, "172.16.0.1")
    assert receivers(site.master) == {"carp0"}
    assert receiver() == {"eth0"}
    site.master.ip("addr", "del", "172.16.0.1/24", "dev", "carp0")
    assert receiver() == {"eth0"}


def test_one_address_and_a_gateway_beside_it(lan: Lan, inner: Host) -> None:
    """What a provider gives: a /32, and a gateway that a route of its own reaches."""
    site = other_subnet(lan, inner)
    site.master.ip_batch(
        f"addr del {VIP[4]}/28 dev carp0",
        f"addr add {VIP[4]}/32 dev carp0",
        f"route add {CLIENT[4]}/32 dev carp0",
        f"route replace default via {CLIENT[4]} dev carp0",
    )
    filtered(site.master, "1")
    ping(site.client, VIP[4])
    ping(site.client, "-I", BEYOND[4], VIP[4])
    site.master.ip("neigh", "flush", "all")
    ping(site.master, BEYOND[4])
    assert receivers(site.master) == {"carp0"}


def frame(protocol: int) -> bytes:
    return VIRTUAL + bytes.fromhex("02000000004d") + protocol.to_bytes(2, "big") + b"x" * 50


@pytest.mark.parametrize("protocol", [0x8863, 0x8864, 0x88CC, 0x888E, 0x8847, 0x88B5], ids=hex)
def test_other_protocols_are_received_by_the_interface(lan: Lan, protocol: int) -> None:
    """PPPoE and the like know no routes: who speaks them has bound them to a device."""
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    heard: dict[str, socket.socket] = {}
    for device in ("carp0", "eth0"):
        heard[device] = lan.a.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        heard[device].bind((device, protocol))
        heard[device].settimeout(1)
    lan.client.send_frame(frame(protocol))
    said, address = heard["carp0"].recvfrom(100)
    assert said == b"x" * 50 and address[2] == socket.PACKET_HOST
