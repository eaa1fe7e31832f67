# SPDX-License-Identifier: GPL-2.0
"""Virtual hosts with IPv6 addresses, alone or beside IPv4."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from lib import carp as c
from lib.capture import Packet
from lib.clock import MILLISECOND, SECOND
from lib.host import Host
from lib.lan import VIP, VIP6, Lan
from lib.pinger import longest_gap, lost

pytestmark = pytest.mark.usefixtures("carp")

IPV6 = (f"{VIP6}/64",)
MIXED = (f"{VIP}/24", f"{VIP6}/64")
GROUP = "ff02::12"
ADVERTISEMENTS = f"ip6 dst {GROUP} and ip6 proto 112"
NEIGHBOURS = "icmp6 and (ip6[40] = 135 or ip6[40] = 136)"


def address_of(host: Host, address: str) -> dict[str, Any]:
    """What ip(8) says of an address on carp0."""
    [link] = host.ip_json("addr", "show", "dev", "carp0")
    [found] = [it for it in link["addr_info"] if it["local"] == address]
    return found


def ipv6(packet: Packet) -> tuple[str, str, int]:
    """Source, destination and hop limit."""
    header = packet.data[14:54]
    return (
        socket.inet_ntop(socket.AF_INET6, header[8:24]),
        socket.inet_ntop(socket.AF_INET6, header[24:40]),
        header[7],
    )


def target(packet: Packet) -> str:
    return socket.inet_ntop(socket.AF_INET6, packet.data[62:78])


@pytest.mark.parametrize("addresses", [IPV6, MIXED], ids=["ipv6", "mixed"])
def test_a_pair_elects_and_the_client_reaches_it(lan: Lan, addresses: tuple[str, ...]) -> None:
    c.create_pair(lan, addresses=addresses)
    pinger = lan.client.ping(VIP6)
    time.sleep(0.1)
    pings = pinger.stop()
    assert len(pings) > 80
    assert not lost(pings)


def test_advertisements_on_the_wire(lan: Lan) -> None:
    capture = lan.client.capture(only=ADVERTISEMENTS)
    c.create(lan.a, addresses=IPV6)
    c.wait_state(lan.a, "master")
    time.sleep(3.5)
    packets = capture.packets()
    assert len(packets) >= 3
    for packet in packets:
        source, destination, hop_limit = ipv6(packet)
        assert packet.data[:12] == bytes.fromhex("333300000012") + c.virtual_mac(1)
        assert source.startswith("fe80::"), "the parent's link-local address"
        assert (destination, hop_limit) == (GROUP, 255)
        assert packet.data[54:56] == b"\x21\x01"
    assert not lan.client.capture(only="ip proto 112").packets()


def test_both_families_advertise(lan: Lan) -> None:
    capture = lan.client.capture(only=f"ip proto 112 or ({ADVERTISEMENTS})")
    c.create(lan.a, addresses=MIXED)
    c.wait_state(lan.a, "master")
    time.sleep(2.5)
    kinds = [packet.data[12:14].hex() for packet in capture.packets()]
    assert kinds.count("0800") == kinds.count("86dd") >= 3
    stats = c.stats(lan.a)
    assert stats["tx_ipv4"] == stats["tx_ipv6"]


def test_no_duplicate_address_detection(lan: Lan) -> None:
    """On the backup it would find the master; the address must be usable at once."""
    capture = lan.client.capture(only=NEIGHBOURS)
    c.create_pair(lan, addresses=IPV6)
    for host in (lan.a, lan.b):
        found = address_of(host, VIP6)
        assert not found.get("tentative") and not found.get("dadfailed")
    assert not [p for p in capture.packets() if ipv6(p)[0] == "::" and target(p) == VIP6]


def test_the_interface_makes_up_no_addresses(lan: Lan) -> None:
    """One of its own would split the digest."""
    c.create_pair(lan, addresses=IPV6)
    time.sleep(3)
    for host in (lan.a, lan.b):
        [link] = host.ip_json("-6", "addr", "show", "dev", "carp0")
        assert [it["local"] for it in link["addr_info"]] == [VIP6]


def test_addresses_stay_while_the_interface_is_down(lan: Lan) -> None:
    c.create(lan.a, addresses=IPV6)
    c.wait_state(lan.a, "master")
    lan.a.ip("link", "set", "carp0", "down")
    assert address_of(lan.a, VIP6)
    lan.a.ip("link", "set", "carp0", "up")
    c.wait_state(lan.a, "master")
    assert lan.client.run("ping", "-c1", "-W1", VIP6).returncode == 0


def test_a_takeover(lan: Lan) -> None:
    """By IPv6 alone; the new master says so to everybody."""
    c.create_pair(lan, addresses=IPV6)
    assert lan.client.run("ping", "-c1", "-W1", VIP6).returncode == 0
    capture = lan.client.capture(only=f"({ADVERTISEMENTS}) or (ip6 and icmp6 and ip6[40] = 136)")
    pinger = lan.client.ping(VIP6)
    lan.hard_cut(lan.a)
    c.wait_state(lan.b, "master")
    time.sleep(3)
    gap = longest_gap(pinger.stop())
    assert gap.seconds < 3.4
    packets = capture.packets()
    advertised = [p for p in packets if p.data[20] == 112 and p.data[56] == 100]
    announced = [p for p in packets if p.data[54] == 136 and target(p) == VIP6]
    assert announced, "an unsolicited neighbour advertisement"
    first = announced[0]
    assert ipv6(first)[1:] == ("ff02::1", 255)
    assert first.data[58] & 0x60 == 0x20, "override, not solicited"
    assert first.data[78:86] == b"\x02\x01" + c.virtual_mac(1)
    assert 0 <= first.time - advertised[0].time < MILLISECOND
    assert len(announced) >= 2, "said again for slow switches"


def test_a_handover_loses_no_ping(lan: Lan) -> None:
    c.create_pair(lan, addresses=MIXED, preempt=True)
    pinger = lan.client.ping(VIP6)
    time.sleep(0.2)
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master")
    time.sleep(0.2)
    lan.a.ip("link", "set", "carp0", "up")
    c.wait_state(lan.a, "master")
    time.sleep(0.2)
    assert not lost(pinger.stop())


def test_the_master_alone_answers_solicitations(lan: Lan) -> None:
    c.create_pair(lan, addresses=IPV6)
    capture = lan.client.capture(only=NEIGHBOURS)
    for _ in range(3):
        lan.client.ip("neigh", "flush", "all")
        assert lan.client.run("ping", "-c1", "-W1", VIP6).returncode == 0
    answers = [p for p in capture.packets() if p.data[54] == 136 and target(p) == VIP6]
    assert answers
    for answer in answers:
        assert answer.data[6:12] == c.virtual_mac(1)
        assert answer.data[80:86] == c.virtual_mac(1)


def test_a_family_that_falls_silent(lan: Lan) -> None:
    """Each family has a timer of its own; either one makes a master."""
    c.create_pair(lan, addresses=MIXED)
    lan.b.run("nft", "add table ip6 t; add chain ip6 t in { type filter hook input priority 0; }")
    lan.b.run("nft", "add rule ip6 t in meta l4proto 112 drop")
    c.wait_state(lan.b, "master", timeout=5)


def test_the_hop_limit_is_checked(lan: Lan) -> None:
    c.create_pair(lan, addresses=IPV6)
    sock = lan.client.socket(socket.AF_INET6, socket.SOCK_RAW, 112)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 254)
    with lan.client.inside():
        index = socket.if_nametoindex("eth0")
    before = c.stats(lan.b)["rx_bad_ttl"]
    sock.sendto(c.Advertisement().payload(), (GROUP, 0, 0, index))
    time.sleep(0.01)
    assert c.stats(lan.b)["rx_bad_ttl"] == before + 1


def test_the_outage_is_bounded(lan: Lan) -> None:
    c.create_pair(lan, addresses=IPV6)
    capture = lan.client.capture(only=ADVERTISEMENTS)
    time.sleep(2.5)
    lan.hard_cut(lan.a)
    c.wait_state(lan.b, "master")
    packets = capture.packets()
    last = [p for p in packets if p.data[56] == 0][-1]
    first = [p for p in packets if p.data[56] == 100][0]
    bound = 3 * SECOND + 100 * SECOND // 256
    assert 0 <= first.time - last.time - bound < MILLISECOND
