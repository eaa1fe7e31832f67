# SPDX-License-Identifier: GPL-2.0
"""Virtual hosts with IPv6 addresses, alone or beside IPv4."""

from __future__ import annotations

import ipaddress
import random
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lib import carp as c
from lib import kernel
from lib.capture import Packet
from lib.carp import counted, sends, with_checksum
from lib.clock import MILLISECOND, SECOND, wait_for
from lib.frames import advertisements
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import VIP, VIP6, Lan
from lib.pinger import longest_gap, survived

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
    assert survived(pings)


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
    assert 0 <= first.time - advertised[0].time < kernel.work(MILLISECOND)
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
    assert survived(pinger.stop())


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
    assert 0 <= first.time - last.time - bound < kernel.work(MILLISECOND)


# -- digests


LINK_LOCAL = "fe80::5e:1"
LISTED = (VIP6, LINK_LOCAL)
BETTER = c.Advertisement(addresses=(VIP6,), source="fe80::77")


@pytest.mark.parametrize("linklocal", [False, True])
def test_which_digest_is_sent(lan: Lan, linklocal: bool) -> None:
    """The one without link-local addresses, as OpenBSD does, or on demand the one with
    them, as FreeBSD does."""
    capture = lan.client.capture(only=ADVERTISEMENTS)
    c.create(lan.a, addresses=(*IPV6, f"{LINK_LOCAL}/64"))
    c.wait_state(lan.a, "master")
    if linklocal:
        lan.a.ip(*"link set carp0 type carp linklocal".split())
    before = len(capture.packets())
    time.sleep(2.5)
    heard = capture.packets()[before:]
    assert len(heard) >= 2
    for packet in heard:
        # what is on the link is hashed on this link alone
        expected = BETTER.but(
            addresses=LISTED, linklocal=linklocal, counter=packet.data[62:70]
        ).payload()
        assert packet.data[54:] == expected
    if linklocal:
        lan.a.ip(*"link set carp0 type carp -linklocal".split())
        time.sleep(1.2)
        last = capture.packets()[-1]
        assert last.data[54:] == BETTER.but(counter=last.data[62:70]).payload()


def test_both_digests_are_accepted(lan: Lan) -> None:
    """Whatever this host itself sends; that of another list is not."""
    c.create(lan.a, "advbase 250", addresses=(*IPV6, f"{LINK_LOCAL}/64"))
    both = BETTER.but(addresses=LISTED)
    bad = {"rx_ipv6": 1, "rx_bad_auth": 1}
    for words in ("-linklocal", "linklocal"):
        lan.a.ip("link", "set", "carp0", "type", "carp", words)
        for linklocal in (False, True):
            act = sends(lan.client, both.but(linklocal=linklocal).frame())
            assert counted(lan.a, act) == {"rx_ipv6": 1}, (words, linklocal)
        other = both.but(addresses=(VIP6, "fe80::5e:2"), linklocal=True)
        assert counted(lan.a, sends(lan.client, other.frame())) == bad


def test_a_pair_with_different_words_for_the_same_list(lan: Lan) -> None:
    """One sends what FreeBSD does, the other what OpenBSD does: one is master."""
    addresses = (*MIXED, f"{LINK_LOCAL}/64")
    c.create(lan.a, "linklocal", addresses=addresses)
    c.create(lan.b, advskew=100, addresses=addresses)
    c.wait_state(lan.a, "master")
    time.sleep(4)
    assert c.state(lan.b) == "backup"
    # to the shared link-local address as well
    for target in (VIP6, f"{LINK_LOCAL}%eth0"):
        assert lan.client.run("ping", "-c1", "-W1", target).returncode == 0


def test_a_peer_like_freebsd(lan: Lan) -> None:
    """It advertises its own skew with the digest over all addresses, counts up, and
    believes no other digest."""
    addresses = (*IPV6, f"{LINK_LOCAL}/64")
    c.create(lan.a, "linklocal", advskew=100, addresses=addresses)
    peer = BETTER.but(addresses=LISTED, linklocal=True, advskew=50)
    for n in range(8):
        counter = (1 << 63 | n).to_bytes(8, "big")
        sends(lan.client, peer.but(counter=counter).frame())()
        time.sleep(1.2)
        assert c.state(lan.a) == "backup"
    # it dies, and hears who is master now
    capture = lan.client.capture(only=ADVERTISEMENTS)
    c.wait_state(lan.a, "master", 4)
    [first, *_] = advertisements(capture.packets())
    assert first.authentic(c.PASS, LISTED)
    # it comes back
    sends(lan.client, peer.frame())()
    c.wait_state(lan.a, "backup", 1)


def test_the_order_of_addresses_is_none_of_the_users(lan: Lan) -> None:
    """Many of them, given in two different orders; the digest is over the sorted list."""
    dice = random.Random(6)
    sixes = [str(ipaddress.IPv6Address(dice.getrandbits(120) | 0xFD << 120)) for _ in range(40)]
    fours = [f"10.1.{dice.randrange(256)}.{n}" for n in range(40)]
    everything = [f"{it}/128" for it in sixes] + [f"{it}/32" for it in fours]
    capture = lan.client.capture(only=ADVERTISEMENTS)
    for host, skew in ((lan.a, 0), (lan.b, 100)):
        dice.shuffle(everything)
        c.create(host, advskew=skew, addresses=tuple(everything))
    c.wait_state(lan.a, "master")
    time.sleep(3.5)
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    heard = advertisements(capture.packets())
    assert heard and all(it.authentic(c.PASS, (*fours, *sixes)) for it in heard)
    assert c.stats(lan.b)["rx_bad_auth"] == 0
    info = c.info(lan.a)
    assert info["address_count"] == len(everything)
    assert set(info["addresses"]) < {*fours, *sixes}, "the first of them are shown"
    # all of them, a few at a time
    capture = lan.client.capture(only="icmp6 and ip6[40] = 136")
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)
    time.sleep(0.4)
    first = capture.packets()[: len(sixes)]
    assert {target(packet) for packet in first} == set(sixes)


# -- neighbours


def test_a_client_that_wants_the_address(lan: Lan) -> None:
    """Its duplicate address detection fails, and the master stays what it is."""
    c.create_pair(lan, addresses=IPV6)
    lan.client.ip("addr", "add", f"{VIP6}/64", "dev", "eth0")

    def failed() -> bool:
        [link] = lan.client.ip_json("-6", "addr", "show", "dev", "eth0")
        return any(it["local"] == VIP6 and it.get("dadfailed") for it in link["addr_info"])

    wait_for(failed, 5, "the client's address is a duplicate", interval=0.2)
    lan.client.ip("addr", "del", f"{VIP6}/64", "dev", "eth0")
    assert lan.client.run("ping", "-c1", "-W1", VIP6).returncode == 0
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")


def test_the_router_flag_follows_forwarding(lan: Lan) -> None:
    """In answers and in what is said unasked: a client drops a default route through a
    neighbour that is no router any more."""
    c.create(lan.a, addresses=IPV6)
    c.wait_state(lan.a, "master")
    for forwarding in (0, 1, 0):
        lan.a.sysctl("net.ipv6.conf.all.forwarding", forwarding)
        capture = lan.client.capture(only="icmp6 and ip6[40] = 136 and ip6 src " + VIP6)
        lan.client.ip("neigh", "flush", "all")
        assert lan.client.run("ping", "-c1", "-W1", VIP6).returncode == 0
        # it becomes master again
        lan.a.ip(*"link set carp0 type carp state backup".split())
        lan.a.ip(*"link set carp0 type carp state master".split())
        time.sleep(0.1)
        packets = capture.packets()
        assert {packet.data[58] & 0x40 for packet in packets} == {0, 0x40}, "asked and unasked"
        assert {packet.data[58] >> 7 for packet in packets} == {forwarding}


# -- what others see


def test_tcpdump_reads_our_advertisements(lan: Lan) -> None:
    c.create(lan.a, addresses=IPV6, advskew=7)
    c.wait_state(lan.a, "master")
    done = lan.client.run(
        "tcpdump", "-nvi", "eth0", "-T", "carp", "-c", "2", ADVERTISEMENTS, timeout=20
    )
    assert "hlim 255" in done.stdout and "> ff02::12:" in done.stdout
    assert "CARPv2-advertise 36: vhid=1 advbase=1 advskew=7 authlen=7" in done.stdout
    assert "bad" not in done.stdout


def test_tshark_reads_our_advertisements(lan: Lan) -> None:
    c.create(lan.a, addresses=IPV6, advskew=7)
    c.wait_state(lan.a, "master")
    done = lan.client.run(
        "tshark", "-ni", "eth0", "-f", ADVERTISEMENTS, "-c", "1",
        "-d", "ip.proto==112,carp", "-O", "carp", timeout=60,
    )  # fmt: skip
    assert "Hop Limit: 255" in done.stdout or "ff02::12" in done.stdout
    assert "Skew: 7" in done.stdout


# -- what a host takes for an advertisement


def vrrp3() -> bytes:
    """VRRPv3 for IPv6, as keepalived sends it."""
    body = bytes([0x31, 1, 254, 1, 0, 100, 0, 0]) + ipaddress.IPv6Address("fe80::1").packed
    return c.frame6(with_checksum(body), source="fe80::77", mac=bytes.fromhex("00005e000201"))


GOOD = BETTER.payload()
DISCARDED = {
    "hop limit 254": ("rx_bad_ttl", BETTER.but(ttl=254).frame()),
    "hop limit 0": ("rx_bad_ttl", BETTER.but(ttl=0).frame()),
    "checksum": ("rx_bad_checksum", BETTER.frame(GOOD[:6] + b"\x12\x34" + GOOD[8:])),
    "a bit": ("rx_bad_checksum", BETTER.frame(GOOD[:30] + bytes([GOOD[30] ^ 4]) + GOOD[31:])),
    "short": ("rx_bad_length", BETTER.frame(GOOD[:35])),
    "nothing": ("rx_bad_length", BETTER.frame(b"")),
    "version": ("rx_bad_version", BETTER.but(version=3).frame()),
    "vhid": ("rx_bad_vhid", BETTER.but(vhid=2).frame()),
    "passphrase": ("rx_bad_auth", BETTER.but(password="Secret").frame()),
    "other address": ("rx_bad_auth", BETTER.but(addresses=("fd00::9",)).frame()),
    "no address": ("rx_bad_auth", BETTER.but(addresses=()).frame()),
    "VRRPv3": ("rx_bad_length", vrrp3()),
}


@pytest.mark.parametrize("role", ["master", "backup"])
def test_discards(lan: Lan, role: str) -> None:
    """Each is counted under its heading and under no other, and changes no state."""
    if role == "master":
        c.create(lan.a, addresses=IPV6, advskew=100)
        c.wait_state(lan.a, "master")
    else:
        c.create(lan.a, "advbase 250", addresses=IPV6)
    for what, (heading, frame) in DISCARDED.items():
        assert counted(lan.a, sends(lan.client, frame)) == {"rx_ipv6": 1, heading: 1}, what
        assert c.state(lan.a) == role, what
    # what all this was compared with: whatever the source, and with a trailer
    for frame in (
        BETTER.frame(),
        BETTER.frame(GOOD + b"!" * 99),
        BETTER.but(source="fd00::77").frame(),
        BETTER.but(source=VIP6).frame(),
    ):
        assert counted(lan.a, sends(lan.client, frame)) == {"rx_ipv6": 1}
        assert c.state(lan.a) == "backup"
        lan.a.ip("link", "set", "carp0", "type", "carp", "state", role)
    lan.a.sysctl("net.inet.carp.allow", 0)
    expected = {"rx_ipv6": 1, "rx_not_allowed": 1}
    assert counted(lan.a, sends(lan.client, BETTER.frame())) == expected


def test_own_echo(lan: Lan) -> None:
    """A host does not loop back what it sends; a wire that does is told."""
    c.create(lan.a, addresses=IPV6)
    capture = lan.client.capture(only=ADVERTISEMENTS)
    c.wait_state(lan.a, "master")
    time.sleep(2)
    assert c.stats(lan.a)["rx_ipv6"] == 0
    own = capture.packets()[0].data
    expected = {"rx_ipv6": 1, "rx_bad_auth": 1, "rx_echo": 1}
    assert counted(lan.a, sends(lan.client, own)) == expected
    assert c.state(lan.a) == "master"


def test_an_interface_that_is_no_parent(lan: Lan) -> None:
    """It is a member of the group on account of somebody else."""
    lan.a.ip("link", "add", "eth1", "type", "veth", "peer", "name", "eth1", "netns", "b")
    for host in lan.hosts:
        host.ip("link", "set", "eth1", "up")
        host.settle()
    c.create(lan.a, "advbase 250", addresses=IPV6)
    member = lan.a.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    index = lan.a.link("eth1").index
    request = socket.inet_pton(socket.AF_INET6, GROUP) + struct.pack("=I", index)
    member.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    act = sends(lan.b, BETTER.frame(), device="eth1")
    assert counted(lan.a, act) == {"rx_ipv6": 1, "rx_bad_interface": 1}
    member.close()


@pytest.mark.parametrize("level, most", [(2, 0), (7, 22)])
def test_vrrp_does_not_flood_the_log(lan: Lan, log: Kmsg, level: int, most: int) -> None:
    lan.a.sysctl("net.inet.carp.log", level)
    c.create(lan.a, "advbase 250", addresses=IPV6)
    log.read()
    for _ in range(60):
        time.sleep(0.1)
        sends(lan.client, vrrp3(), vrrp3())()
    assert c.stats(lan.a)["rx_bad_length"] == 120
    lines = log.read()
    assert len(lines) <= most, lines


@pytest.mark.parametrize("lost_address", ["global", "all"])
def test_parents_without_addresses(lan: Lan, lost_address: str) -> None:
    """Without a global one the link-local one is the source; without any the shared
    address is."""
    for host in lan.hosts:
        if lost_address == "all":
            host.ip("-6", "addr", "flush", "dev", "eth0")
        else:
            host.ip("addr", "del", f"{host.address6}/64", "dev", "eth0")
    capture = lan.client.capture(only=ADVERTISEMENTS)
    c.create_pair(lan, addresses=IPV6)
    time.sleep(4)
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    [source] = {ipv6(packet)[0] for packet in capture.packets()}
    assert source == VIP6 if lost_address == "all" else source.startswith("fe80::")
    assert lan.client.run("ping", "-c1", "-W1", VIP6).returncode == 0
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)
    assert lan.client.run("ping", "-c1", "-W1", VIP6).returncode == 0


# -- hostile neighbours


def icmp6(source: str, destination: str, body: bytes) -> bytes:
    """With the checksum that is right."""
    pseudo = socket.inet_pton(socket.AF_INET6, source)
    pseudo += socket.inet_pton(socket.AF_INET6, destination)
    pseudo += struct.pack("!II", len(body), 58)
    body = body[:2] + b"\0\0" + body[4:]
    return body[:2] + struct.pack("!H", c.checksum(pseudo + body)) + body[4:]


def strange_neighbours(count: int, seed: int) -> Iterator[bytes]:
    """Solicitations and advertisements as bad as they can be, to whom a carp interface
    listens: solicited-node groups, the virtual MAC, everybody."""
    dice = random.Random(seed)
    node = "ff02::1:ff00:1"
    mac = bytes.fromhex("02000000004d")
    for i in range(count):
        to, destination = dice.choice(
            (
                (bytes.fromhex("3333ff000001"), node),
                (c.virtual_mac(1), VIP6),
                (c.virtual_mac(1), node),
                (bytes.fromhex("333300000001"), "ff02::1"),
            )
        )
        source = dice.choice(("fd00::64", "fe80::64", "::", VIP6, node, "fd00::66"))
        about = dice.choice((VIP6, VIP6, "fd00::2", "::", node))
        kind = bytes([dice.choice((135, 136)), 0, 0, 0]) + dice.randbytes(4)
        body = kind + socket.inet_pton(socket.AF_INET6, about)
        option = bytes([dice.choice((0, 1, 2, 3, 14)), dice.choice((0, 1, 1, 2, 255))])
        body += dice.choice((b"", option, option + mac, (option + mac) * 3, option + b"\0" * 700))
        match i % 4:
            case 0:  # as a whole
                frame = c.frame6(
                    icmp6(source, destination, body), source=source, destination=destination,
                    to=to, mac=mac, protocol=58,
                )  # fmt: skip
            case 1:  # a part of it
                body = icmp6(source, destination, body[: dice.randrange(4, len(body) + 1)])
                frame = c.frame6(
                    body, source=source, destination=destination, to=to, mac=mac, protocol=58
                )
            case 2:  # that ends earlier than it says
                frame = c.frame6(
                    body, source=source, destination=destination, to=to, mac=mac, protocol=58
                )
                frame = frame[: dice.randrange(14, len(frame))]
            case _:  # a flipped bit, or noise behind the header
                frame = c.frame6(
                    icmp6(source, destination, body), source=source, destination=destination,
                    to=to, mac=mac, protocol=dice.choice((58, 58, 0, 43, 44, 60, 112)),
                )  # fmt: skip
                flipped = bytearray(frame)
                flipped[dice.randrange(14, len(frame))] ^= 1 << dice.randrange(8)
                frame = bytes(flipped)
        yield frame


def test_hostile_neighbours(lan: Lan, log: Kmsg, tmp_path: Path, seed: int) -> None:
    """Any bytes at all: nobody becomes master, what is a question is answered by the
    master alone, and the address is served as before."""
    for host in lan.hosts:
        host.sysctl("net.inet.carp.log", 7)
    c.create_pair(lan, addresses=MIXED)
    frames = list(strange_neighbours(4_000, seed))
    path = tmp_path / "frames"
    path.write_bytes(b"".join(struct.pack("=H", len(frame)) + frame for frame in frames))
    answers = "icmp6 and ip6[40] = 136 and ip6 src " + VIP6
    captures = [host.capture(only=answers) for host in lan.hosts]

    def look() -> list[tuple[int, int]]:
        """How often each became master, and how many packets it took."""
        return [
            (c.stats(host)["preempt"], host.show("carp0")["stats64"]["rx"]["packets"])
            for host in lan.hosts
        ]

    before = look()
    log.read()
    assert int(lan.client.run("/carp/bin/flood", "eth0", str(path)).stdout) == len(frames)
    time.sleep(0.1)
    after = look()
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    assert [preempt for preempt, _ in after] == [preempt for preempt, _ in before]
    assert after[0][1] > before[0][1], "the master takes what comes to the virtual MAC"
    assert after[1][1] == before[1][1], "and the backup does not"
    ours, theirs = ([p for p in it.sent() if p.data[6:12] == c.virtual_mac(1)] for it in captures)
    assert ours and not theirs
    # those with a hole in their headers alone
    assert len(log.read()) <= 40
    lan.client.ip("neigh", "flush", "all")
    for address in (VIP, VIP6):
        assert lan.client.run("ping", "-c2", "-i0.2", "-W1", address).returncode == 0
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)
