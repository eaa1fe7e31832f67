# SPDX-License-Identifier: GPL-2.0
"""A parent without ARP, a dummy: the hosts need not share a link. Their peers are unicast,
the address is a route's, and a routing protocol follows who is master."""

from __future__ import annotations

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.lan import Lan

pytestmark = pytest.mark.usefixtures("carp")

PEERS = ("192.0.2.2", "192.0.2.3", "2001:db8::2", "2001:db8::3")
ADDRESS, ADDRESS6 = "203.0.113.1", "2001:db8:1::1"


def number(lan: Lan) -> None:
    """Addresses that no link has, and the routes to them."""
    for host, other, n in ((lan.a, lan.b, 2), (lan.b, lan.a, 3)):
        host.ip_batch(
            "link add lo1 type dummy",
            "link set lo1 up",
            f"addr add 192.0.2.{n}/32 dev lo1",
            f"addr add 2001:db8::{n}/128 dev lo1",
            f"route add 192.0.2.{5 - n} via {other.address}",
            f"route add 2001:db8::{5 - n} via {other.address6}",
        )


def make(host: Host, advskew: int, *addresses: str) -> None:
    words = f"minttl 254 carppeer {','.join(PEERS)}"
    c.create(host, words, advskew=advskew, carpdev="lo1", addresses=addresses)


@pytest.mark.parametrize(
    "addresses",
    [(f"{ADDRESS}/32",), (f"{ADDRESS6}/128",), (f"{ADDRESS}/32", f"{ADDRESS6}/128")],
    ids=["IPv4", "IPv6", "both"],
)
def test_a_master_and_a_backup(lan: Lan, addresses: tuple[str, ...]) -> None:
    number(lan)
    make(lan.a, 0, *addresses)
    make(lan.b, 100, *addresses)
    c.wait_state(lan.a, "master")
    c.wait_state(lan.b, "backup")
    assert c.stats(lan.b)["rx_bad_interface"] == 0
    # What a routing protocol would do.
    for host in (lan.a, lan.b):
        for address in addresses:
            lan.client.ip("route", "replace", address, "via", gateway(host, address))
            if host is lan.a:
                lan.client.run("ping", "-c1", "-W1", address.split("/")[0])
        if host is lan.a:
            lan.a.ip("link", "set", "carp0", "down")
            c.wait_state(lan.b, "master", 1)
    for address in addresses:
        lan.client.run("ping", "-c1", "-W1", address.split("/")[0])
    lan.a.ip("link", "set", "carp0", "up")
    c.wait_state(lan.a, "backup")


def gateway(host: Host, address: str) -> str:
    return host.address6 if ":" in address else host.address


def test_a_family_without_peers_is_not_waited_for(lan: Lan) -> None:
    number(lan)
    for host, skew in ((lan.a, 0), (lan.b, 100)):
        words = "minttl 254 carppeer 192.0.2.2,192.0.2.3"
        both = (f"{ADDRESS}/32", f"{ADDRESS6}/128")
        c.create(host, words, advskew=skew, carpdev="lo1", addresses=both)
    c.wait_state(lan.a, "master")
    c.wait_state(lan.b, "backup")
    before = c.stats(lan.b)["rx_ipv4"]
    wait_for(lambda: c.stats(lan.b)["rx_ipv4"] >= before + 5, 8, "five advertisements")
    assert c.state(lan.b) == "backup"
    assert c.stats(lan.b)["preempt"] == 0


def test_peers_are_asked_for(lan: Lan) -> None:
    number(lan)
    host = lan.a
    words = "Error: lo1 has no ARP, so there must be unicast peers (carppeer)"
    assert words in host.refused(*"ip link add carp0 type carp vhid 1 carpdev lo1".split())
    host.ip(*"link add carp0 type carp vhid 1".split())
    assert words in host.refused(*"ip link set carp0 type carp carpdev lo1".split())
    host.ip(*"link set carp0 type carp carpdev lo1 carppeer 192.0.2.3".split())
    assert words in host.refused(*"ip link set carp0 type carp -carppeer".split())
    host.ip(*"link set carp0 type carp carpdev eth0 -carppeer".split())
    # It is not chosen by itself.
    host.ip(*"link set carp0 type carp -carpdev".split())
    host.ip("addr", "add", "192.0.2.2/24", "dev", "carp0")
    assert "carpdev" not in c.info(host)
