# SPDX-License-Identifier: GPL-2.0
"""What is for everybody: which broadcast and multicast frames an interface gets, what its
neighbours learn from them, and who sees what a master receives.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from lib import carp as c
from lib.frames import arps, mac_bytes, virtual_mac
from lib.host import Host
from lib.lan import VIP, VIP6, Lan

pytestmark = pytest.mark.usefixtures("carp")

OTHER = "02:00:00:00:00:4d"
"""A host that exists only in frames."""
ADDRESSES = ("198.51.100.1/28", "2001:db8:1::1/64", "fe80::1/64")
NUMBERED = (f"{VIP}/24", f"{VIP6}/64")


def create_pair(lan: Lan) -> None:
    """Masters whose interface receives: its subnets are not the parents'."""
    for host, skew in zip(lan.hosts, (0, 100), strict=True):
        c.create(host, advskew=skew, addresses=ADDRESSES)
    lan.client.ip_batch(
        "addr add 198.51.100.9/28 dev eth0", "addr add 2001:db8:1::9/64 dev eth0 nodad"
    )
    c.wait_state(lan.a, "master")
    c.wait_state(lan.b, "backup")


def member(host: Host, group: str, port: int) -> socket.socket:
    """A socket that has joined a group on carp0."""
    if ":" in group:
        s = host.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        with host.inside():
            index = socket.if_nametoindex("carp0")
        request = socket.inet_pton(socket.AF_INET6, group) + struct.pack("I", index)
        s.bind(("::", port))
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    else:
        s = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with host.inside():
            index = socket.if_nametoindex("carp0")
        s.bind(("0.0.0.0", port))
        request = socket.inet_aton(group) + bytes(4) + struct.pack("i", index)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"carp0")
    s.settimeout(0.5)
    return s


def say(host: Host, group: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in group else socket.AF_INET
    with contextlib.closing(host.socket(family, socket.SOCK_DGRAM)) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.sendto(b"x", (group, port))


def hears(s: socket.socket) -> bool:
    try:
        return bool(s.recv(100))
    except TimeoutError:
        return False


def times_heard(s: socket.socket) -> int:
    heard = 0
    while hears(s):
        heard += 1
    return heard


def filtered(host: Host) -> list[str]:
    """The multicast addresses that the parent receives."""
    (shown,) = host.ip_json("maddr", "show", "dev", "eth0")
    return [entry["link"] for entry in shown["maddr"] if "link" in entry]


GROUPS = {"239.1.2.3": "01:00:5e:01:02:03", "ff02::1:2": "33:33:00:01:00:02"}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("numbered", [True, False], ids=["numbered-parent", "own-subnet"])
def test_a_group_that_a_program_joins(lan: Lan, group: str, numbered: bool) -> None:
    """The master's program hears it once, the backup's nothing; the parent's filter is
    open on both, for a takeover cannot wait for it, and closed as the program ends."""
    if numbered:
        for host, skew in zip(lan.hosts, (0, 100), strict=True):
            c.create(host, advskew=skew, addresses=NUMBERED)
            # what a strict filter drops on carp0, as the way back is the parent's
            for device in ("all", "carp0"):
                host.sysctl(f"net.ipv4.conf.{device}.rp_filter", 2)
        c.wait_state(lan.a, "master")
    else:
        create_pair(lan)
    sockets = [member(host, group, 5000) for host in lan.hosts]
    assert all(GROUPS[group] in filtered(host) for host in lan.hosts)
    say(lan.client, group, 5000)
    assert [times_heard(s) for s in sockets] == [1, 0]
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)
    say(lan.client, group, 5000)
    assert [times_heard(s) for s in sockets] == [0, 1]
    for s in sockets:
        s.close()
    assert not any(GROUPS[group] in filtered(host) for host in lan.hosts)


def test_the_parents_filter_follows_the_interface(lan: Lan) -> None:
    """Down and up, to another parent and back, and deleted."""
    group, mac = "239.1.2.3", "01:00:5e:01:02:03"
    lan.a.ip_batch("link add eth1 type veth peer name eth2", "link set eth1 up", "link set eth2 up")
    c.create(lan.a, addresses=ADDRESSES)
    s = member(lan.a, group, 5000)

    def where() -> list[str]:
        shown = lan.a.ip_json("maddr", "show")
        return [
            it["ifname"]
            for it in shown
            if it["ifname"].startswith("eth") and mac in [e.get("link") for e in it["maddr"]]
        ]

    assert where() == ["eth0"]
    lan.a.ip("link", "set", "carp0", "down")
    assert where() == []
    lan.a.ip("link", "set", "carp0", "up")
    assert where() == ["eth0"]
    lan.a.ip("link", "set", "carp0", "type", "carp", "carpdev", "eth1")
    assert where() == ["eth1"]
    lan.a.ip("link", "set", "carp0", "type", "carp", "carpdev", "none")
    assert where() == []
    lan.a.ip("link", "set", "carp0", "type", "carp", "carpdev", "eth0")
    assert where() == ["eth0"]
    lan.a.ip("link", "del", "carp0")
    assert where() == []
    s.close()


@pytest.mark.parametrize("to", ["255.255.255.255", "198.51.100.15"])
def test_broadcasts_where_the_interface_receives(lan: Lan, to: str) -> None:
    """As a DHCP server needs it."""
    create_pair(lan)
    sockets = []
    for host in lan.hosts:
        s = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"carp0")
        s.bind(("0.0.0.0", 67))
        s.settimeout(0.5)
        sockets.append(s)
    say(lan.client, to, 67)
    assert [times_heard(s) for s in sockets] == [1, 0]


def test_router_solicitations(lan: Lan) -> None:
    """For a shared fe80::1 that is the segment's router, with parents of link-local
    addresses only."""
    for host in lan.hosts:
        host.ip("addr", "del", f"{host.address6}/64", "dev", "eth0")
    create_pair(lan)
    raw = lan.a.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"carp0")
    with lan.a.inside():
        index = socket.if_nametoindex("carp0")
    request = socket.inet_pton(socket.AF_INET6, "ff02::2") + struct.pack("I", index)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    raw.settimeout(1)
    asker = lan.client.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    asker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    asker.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    asker.sendto(struct.pack("!BBHI", 133, 0, 0, 0), ("ff02::2", 0))
    assert raw.recv(100)[0] == 133


# -- neighbours


def known(host: Host, address: str, device: str) -> str:
    entries = host.ip_json("neigh", "show", address, "dev", device)
    return entries[0].get("lladdr", "") if entries else ""


def test_a_gateway_that_changes_its_mac(lan: Lan) -> None:
    """carp0's neighbours hear a gratuitous ARP and an unsolicited advertisement as those
    of any other device, and carp0 knows only whom it has asked for."""
    create_pair(lan)
    for address in ("198.51.100.9", "2001:db8:1::9"):
        lan.a.run("ping", "-c", "1", "-W", "1", address)
        assert known(lan.a, address, "carp0") == lan.client.mac
    lan.client.ip("link", "set", "dev", "eth0", "address", OTHER)
    announcement = c.arp("198.51.100.9", sender="198.51.100.9", mac=mac_bytes(OTHER))
    lan.client.send_frame(announcement)
    lan.client.run("python3", "-c", NEIGHBOUR)
    time.sleep(0.1)
    for address in ("198.51.100.9", "2001:db8:1::9"):
        assert known(lan.a, address, "carp0") == OTHER
    stranger = c.arp("198.51.100.8", sender="198.51.100.8", mac=mac_bytes(OTHER))
    lan.client.send_frame(stranger)
    time.sleep(0.1)
    assert known(lan.a, "198.51.100.8", "carp0") == ""


NEIGHBOUR = f"""
from scapy.all import *
sendp(Ether(src="{OTHER}", dst="33:33:00:00:00:01")
      / IPv6(src="2001:db8:1::9", dst="ff02::1", hlim=255)
      / ICMPv6ND_NA(tgt="2001:db8:1::9", R=0, S=0, O=1)
      / ICMPv6NDOptDstLLAddr(lladdr="{OTHER}"), iface="eth0", verbose=False)
"""


def test_a_second_answer_is_believed_as_by_arp(lan: Lan) -> None:
    """Within a second the first one counts (locktime)."""
    create_pair(lan)
    lan.a.run("ping", "-c", "1", "-W", "1", "198.51.100.9")
    second = c.arp(
        "198.51.100.1",
        sender="198.51.100.9",
        mac=mac_bytes(OTHER),
        to=c.virtual_mac(1),
        reply=True,
        target_mac=c.virtual_mac(1),
    )
    lan.client.send_frame(second)
    time.sleep(0.05)
    assert known(lan.a, "198.51.100.9", "carp0") == lan.client.mac


@pytest.fixture
def proxied(lan: Lan) -> Iterator[tuple[str, str]]:
    """Addresses that the hosts route elsewhere, and answer for on carp0."""
    for host, skew in zip(lan.hosts, (0, 100), strict=True):
        for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            host.sysctl(name, 1)
        c.create(host, advskew=skew, addresses=NUMBERED)
        host.sysctl("net.ipv6.conf.carp0.proxy_ndp", 1)
        host.ip_batch(
            "link add dum0 type dummy",
            "link set dum0 up",
            "route add 10.0.0.50/32 dev dum0",
            "route add fd00::50/128 dev dum0",
            "neigh add proxy 10.0.0.50 dev carp0",
            "neigh add proxy fd00::50 dev carp0",
        )
    c.wait_state(lan.a, "master")
    yield "10.0.0.50", "fd00::50"


def test_proxy_entries(lan: Lan, proxied: tuple[str, str]) -> None:
    """The master alone answers, with the virtual MAC, and the new one after a
    handover."""
    for _ in range(2):
        for address in proxied:
            lan.client.ip("neigh", "flush", "all")
            heard = lan.client.capture(only="arp or icmp6 and ip6[40] = 136")
            lan.client.run("ping", "-c", "1", "-W", "2", address, check=False)
            assert known(lan.client, address, "eth0") == virtual_mac(1)
            told = [p for p in heard.received() if p.data[6:12] != mac_bytes(lan.client.mac)]
            answers = [a for a in arps(told) if a.operation == 2 and a.sender == address]
            assert {p.data[6:12] for p in told if p.data[12:14] == b"\x86\xdd"} <= {
                c.virtual_mac(1)
            }
            assert {a.sender_mac for a in answers} <= {virtual_mac(1)}
            heard.close()
        lan.a.ip("link", "set", "carp0", "down")
        c.wait_state(lan.b, "master", 1)


def test_the_input_chain_sees_neighbour_solicitations(lan: Lan) -> None:
    """As the ARP filter sees ARP: an administrator may drop them, and sees them once."""
    c.create(lan.a, addresses=NUMBERED)
    c.wait_state(lan.a, "master")
    rule = f"iifname eth0 icmpv6 type nd-neighbor-solicit ip6 saddr {lan.client.address6} counter"
    lan.a.run(
        "nft",
        "add table ip6 f; add chain ip6 f input { type filter hook input priority 0; };"
        f" add rule ip6 f input {rule}",
    )
    lan.client.run("ping", "-c", "1", "-W", "1", VIP6)
    assert "packets 1 " in lan.a.run("nft", "list table ip6 f").stdout
    lan.a.run("nft", f"flush chain ip6 f input; add rule ip6 f input {rule} drop")
    lan.client.ip("neigh", "flush", "all")
    assert lan.client.run("ping", "-c", "1", "-W", "1", VIP6, check=False).returncode != 0
    lan.a.run("nft", "delete table ip6 f")
    lan.client.run("ping", "-c", "1", "-W", "4", VIP6)


# -- taps


@pytest.mark.parametrize("address", [VIP, VIP6])
def test_taps_see_what_is_received(lan: Lan, address: str) -> None:
    """On carp0 as received, on all devices once, though the parent receives it."""
    c.create(lan.a, addresses=NUMBERED)
    c.wait_state(lan.a, "master")
    lan.client.run("ping", "-c", "1", "-W", "1", address)
    only = "icmp[0] = 8" if address == VIP else "icmp6 and ip6[40] = 128"
    own, everywhere = lan.a.capture("carp0", only), lan.a.capture(None, only)
    dgram = lan.a.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    dgram.bind(("carp0", 0x0800 if address == VIP else 0x86DD))
    dgram.settimeout(1)
    lan.client.run("ping", "-c", "3", "-i", "0.2", "-W", "1", address)
    assert [packet.outgoing for packet in own.packets()] == [False] * 3
    assert len(everywhere.packets()) == 3
    said, where = dgram.recvfrom(2000)
    assert where[2] == socket.PACKET_HOST
    assert said[0] >> 4 == (4 if address == VIP else 6), "from the IP header on"
