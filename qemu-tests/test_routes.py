# SPDX-License-Identifier: GPL-2.0
"""Routes through an interface that is not master: they are passed over.

A backup's carp0 sends nothing. Where only carp0 has the subnet, what would leave by it
takes another route, or its sender is told at once that there is none.
"""

from __future__ import annotations

import errno
import socket
import time

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.lan import VIP, VIP6, Lan
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

FAR = "192.0.2.9"
FAR6 = "2001:db8::9"


def unnumbered_pair(lan: Lan) -> None:
    """Only carp0 has the subnet."""
    for host in lan.hosts:
        host.ip_batch(
            f"addr del {host.address}/24 dev eth0",
            f"addr del {host.address6}/64 dev eth0",
        )
    c.create_pair(lan, addresses=(f"{VIP}/24", f"{VIP6}/64"))
    for host in lan.hosts:
        host.ip("route", "add", "default", "via", "10.0.0.100", "dev", "carp0")
        host.ip("route", "add", "default", "via", "fd00::100", "dev", "carp0")


def way(host: Host, to: str) -> str | None:
    """The device by which a packet would leave, if any."""
    shown = host.run("ip", "-j", "route", "get", to, check=False)
    return None if shown.returncode else host.ip_json("route", "get", to)[0]["dev"]


def error_of(host: Host, to: str) -> int:
    """What the kernel says at once to who sends there; 0 if it takes the packet."""
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with host.socket(family, socket.SOCK_DGRAM) as s:
        return s.connect_ex((to, 9))


@pytest.mark.parametrize("to", ["10.0.0.100", FAR, "fd00::100", FAR6])
def test_a_backup_tells_its_senders_at_once(lan: Lan, to: str) -> None:
    unnumbered_pair(lan)
    wait_for(lambda: way(lan.b, to) is None, 1, "the route is passed over")
    assert error_of(lan.b, to) == errno.ENETUNREACH
    assert way(lan.a, to) == "carp0"


@pytest.mark.parametrize("to", ["10.0.0.100", FAR, "fd00::100", FAR6])
def test_another_route_is_taken(lan: Lan, to: str) -> None:
    """With a worse metric, until the backup is master."""
    unnumbered_pair(lan)
    host = lan.b
    host.ip_batch(
        "link add sync0 type dummy",
        "link set sync0 up",
        "addr add 172.16.0.3/24 dev sync0",
        "addr add fd16::3/64 dev sync0 nodad",
        "route add 10.0.0.0/24 via 172.16.0.2 metric 5000",
        "route add default via 172.16.0.2 metric 5000",
        "route add fd00::/64 via fd16::2 metric 5000",
        "route add default via fd16::2 metric 5000",
    )
    wait_for(lambda: way(host, to) == "sync0", 1, "the other route is taken")
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(host, "master", 1)
    wait_for(lambda: way(host, to) == "carp0", 1, "a master's own route is taken")
    lan.a.ip("link", "set", "carp0", "up")
    host.ip("link", "set", "carp0", "type", "carp", "state", "backup")
    c.wait_state(host, "backup", 1)
    wait_for(lambda: way(host, to) == "sync0", 1, "the other route is taken again")


@pytest.mark.parametrize("to", [FAR, FAR6])
def test_one_of_several_nexthops_is_passed_over(lan: Lan, to: str) -> None:
    """The others share what it had, until the host is master."""
    unnumbered_pair(lan)
    host = lan.b
    host.ip_batch(
        "link add sync0 type dummy",
        "link set sync0 up",
        "addr add 172.16.0.3/24 dev sync0",
        "addr add fd16::3/64 dev sync0 nodad",
        "route add 192.0.2.0/24 nexthop via 172.16.0.2 nexthop via 10.0.0.100 dev carp0",
        "route add 2001:db8::/64 nexthop via fd16::2 nexthop via fd00::100 dev carp0",
    )
    places = [to.removesuffix("9") + str(n) for n in range(1, 30)]

    def ways() -> set[str | None]:
        return {way(host, place) for place in places}

    lan.a.ip("link", "set", "carp0", "type", "carp", "advskew", "200")
    host.ip("link", "set", "carp0", "type", "carp", "state", "master")
    c.wait_state(host, "master", 1)
    wait_for(lambda: ways() == {"carp0", "sync0"}, 10, "both are used")
    host.ip("link", "set", "carp0", "type", "carp", "state", "backup")
    c.wait_state(host, "backup", 1)
    wait_for(lambda: ways() == {"sync0"}, 10, "the other takes all")


def test_a_new_master_sends_at_once(lan: Lan) -> None:
    """Its routes are there in the same moment: no ping is left without an answer."""
    unnumbered_pair(lan)
    time.sleep(1)
    capture = lan.client.capture(only=f"icmp and src {VIP}")
    pinger = lan.client.ping(VIP)
    time.sleep(0.2)
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)
    time.sleep(0.2)
    pinger.stop()
    times = [packet.time for packet in capture.received()]
    gaps = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert max(gaps) < 20_000_000


def test_the_administrator_may_have_them_used(lan: Lan) -> None:
    """`ignore_routes_with_linkdown` of carp0 is 1 at first, and stays what it is set to,
    over elections, addresses and an MTU at which the kernel forgets what it knows."""
    unnumbered_pair(lan)
    names = [f"net.{ip}.conf.carp0.ignore_routes_with_linkdown" for ip in ("ipv4", "ipv6")]
    assert [lan.b.sysctl(name) for name in names] == ["1", "1"]
    for name in names:
        lan.b.sysctl(name, 0)
    assert way(lan.b, FAR) == way(lan.b, FAR6) == "carp0"
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)
    lan.b.ip("addr", "add", "10.0.0.9/24", "dev", "carp0")
    lan.b.ip("link", "set", "carp0", "type", "carp", "state", "backup")
    assert [lan.b.sysctl(name) for name in names] == ["0", "0"]
    assert [lan.a.sysctl(name) for name in names] == ["1", "1"]
    lan.a.ip("link", "set", "carp0", "up")
    c.wait_state(lan.a, "master")
    time.sleep(0.1)
    assert [lan.a.sysctl(name) for name in names] == ["1", "1"]
    assert way(lan.a, "10.0.0.100") == way(lan.a, "fd00::100") == "carp0"


def test_in_another_namespace(lan: Lan, world: World) -> None:
    """The same for an interface that was moved, and back."""
    unnumbered_pair(lan)
    other = world.host("other")
    lan.b.ip("link", "set", "carp0", "netns", other.name)
    other.ip_batch(f"addr add {VIP}/24 dev carp0", f"addr add {VIP6}/64 dev carp0")
    other.ip("link", "set", "carp0", "up")
    c.wait_state(other, "backup")
    other.ip("route", "add", "default", "via", "10.0.0.100", "dev", "carp0")
    wait_for(lambda: way(other, FAR) is None, 1, "the route is passed over")
    wait_for(lambda: way(other, "fd00::100") is None, 1, "the route is passed over")
