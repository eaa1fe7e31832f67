# SPDX-License-Identifier: GPL-2.0
"""Advertisements to peers instead of the group, also across a router."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest
from lib import carp as c
from lib import kernel
from lib.carp import counted, sends
from lib.clock import MILLISECOND, wait_for
from lib.frames import GROUP, GROUP6, advertisements
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import VIP, VIP6, Lan
from lib.pinger import survived
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

IPV4 = (f"{VIP}/24",)
IPV6 = (f"{VIP6}/64",)
MIXED = IPV4 + IPV6
ADVERTISEMENTS = "ip proto 112 or ip6 proto 112"
BETTER = c.Advertisement(addresses=(VIP, VIP6))
BETTER6 = BETTER.but(source="fd00::77")


def peers(*hosts: Host, families: Sequence[int] = (4,)) -> str:
    """The word that names these hosts."""
    ipv4 = [host.address for host in hosts if 4 in families]
    ipv6 = [host.address6 for host in hosts if 6 in families]
    return "carppeer " + ",".join(ipv4 + ipv6)


def set_carp(host: Host, words: str) -> None:
    host.ip(*f"link set carp0 type carp {words}".split())


def pair(
    lan: Lan, families: Sequence[int] = (4,), words: str = "", addresses: tuple[str, ...] = IPV4
) -> None:
    """a is master, b (advskew 100) backup, each the other's peer."""
    for host, other, skew in ((lan.a, lan.b, 0), (lan.b, lan.a, 100)):
        c.create(
            host,
            f"{peers(other, families=families)} {words}",
            advskew=skew,
            addresses=addresses,
        )
    c.wait_state(lan.a, "master")
    assert c.state(lan.b) == "backup"


@pytest.mark.parametrize(
    "families, addresses",
    [((4,), IPV4), ((6,), IPV6), ((4, 6), MIXED), ((4,), MIXED), ((6,), MIXED)],
    ids=["ipv4", "ipv6", "both", "ipv4-of-both", "ipv6-of-both"],
)
def test_a_pair(lan: Lan, families: tuple[int, ...], addresses: tuple[str, ...]) -> None:
    """They elect a master and hand over; in a family with peers nothing goes to the
    group, in one without everything does."""
    capture = lan.a.capture(only=ADVERTISEMENTS)
    pair(lan, families, addresses=addresses)
    time.sleep(2)
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    vips = tuple(address.split("/")[0] for address in addresses)
    heard = advertisements(capture.sent())
    wanted = {
        (lan.b.address if 4 in families else GROUP) if "." in vip else
        (lan.b.address6 if 6 in families else GROUP6)
        for vip in vips
    }  # fmt: skip
    assert {it.destination for it in heard} == wanted
    for it in heard:
        assert it.ttl == 255
        assert it.tos == 0x10
        assert it.checksum_good
        assert it.authentic(c.PASS, vips)
        if it.destination in (lan.b.address, lan.b.address6):
            assert it.source in (lan.a.address, lan.a.address6)
            assert (it.source_mac, it.destination_mac) == (lan.a.mac, lan.b.mac)
    stats = c.stats(lan.b)
    for family, name in ((4, "rx_ipv4"), (6, "rx_ipv6")):
        has = any(("." in vip) == (family == 4) for vip in vips)
        assert (stats[name] > 0) == has, name
    assert not {name for name, value in stats.items() if name.startswith("rx_bad") and value}
    # and what it is all for
    target = vips[-1]
    assert lan.client.run("ping", "-c1", "-W1", target).returncode == 0
    pinger = lan.client.ping(target)
    time.sleep(0.1)
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)
    time.sleep(0.1)
    assert survived(pinger.stop())


def test_three_hosts_with_the_same_list(make_lan: Callable[..., Lan]) -> None:
    """Every host may name them all, itself included: to itself it sends nothing. The
    farewell goes to all."""
    lan = make_lan(3)
    a, b, d = lan.hosts
    captures = [host.capture(only=ADVERTISEMENTS) for host in (b, d)]
    for host, skew in ((a, 0), (b, 50), (d, 100)):
        c.create(host, peers(*lan.hosts, families=(4, 6)), advskew=skew, addresses=MIXED)
    time.sleep(6)
    assert [c.state(host) for host in lan.hosts] == ["master", "backup", "backup"]
    stats = c.stats(a)
    assert stats["tx_ipv4"] == stats["tx_ipv6"] > 6
    assert stats["tx_ipv4"] % 2 == 0, "one to each of the others"
    assert stats["tx_error"] == stats["rx_ipv4"] == stats["rx_ipv6"] == 0
    assert c.info(a)["demote"] == 0
    a.ip("link", "set", "carp0", "down")
    c.wait_state(b, "master", 1)
    time.sleep(1.5)
    assert c.state(d) == "backup"
    for capture in captures:
        [ipv4, ipv6] = advertisements(capture.received(), advbase=255, advskew=255)
        assert (ipv4.source, ipv6.source) == (a.address, a.address6)
    # b dies without a word
    lan.hard_cut(b)
    c.wait_state(d, "master", 5)
    lan.heal(b)
    c.wait_state(d, "backup", 5)


def test_the_same_list_in_a_vrf(lan: Lan) -> None:
    """To itself a host sends nothing there either."""
    for host in lan.hosts:
        host.ip_batch(
            "link add red type vrf table 10",
            "link set red up",
            "link set eth0 master red",
            f"addr replace {host.address6}/64 dev eth0 nodad",
        )
    c.create(lan.a, peers(*lan.hosts, families=(4, 6)), addresses=MIXED)
    c.wait_state(lan.a, "master")
    time.sleep(3)
    stats = c.stats(lan.a)
    assert stats["tx_ipv4"] == stats["tx_ipv6"] >= 3, "to the other one alone"
    assert stats["tx_error"] == stats["rx_ipv6"] == 0


def test_who_hears_what(lan: Lan) -> None:
    """An interface with peers hears unicast alone, one without the group alone, each
    family for itself: all else is counted as for a vhid that is not here."""
    group, group6 = (sends(lan.client, it.frame()) for it in (BETTER, BETTER6))
    alone, alone6 = (sends(lan.client, it.unicast(lan.a)) for it in (BETTER, BETTER6))
    c.create(lan.a, "advbase 250", addresses=MIXED)
    good, good6 = {"rx_ipv4": 1}, {"rx_ipv6": 1}
    bad, bad6 = ({**it, "rx_bad_vhid": 1} for it in (good, good6))
    for words, expected in (
        ("-carppeer", (good, good6, bad, bad6)),
        (peers(lan.client), (bad, good6, good, bad6)),
        (peers(lan.client, families=(6,)), (good, bad6, bad, good6)),
        (peers(lan.client, families=(4, 6)), (bad, bad6, good, good6)),
        ("-carppeer", (good, good6, bad, bad6)),
    ):
        set_carp(lan.a, words)
        assert tuple(counted(lan.a, act) for act in (group, group6, alone, alone6)) == expected
    # nor need the sender be one of the peers: the digest says who belongs here
    set_carp(lan.a, peers(lan.b))
    assert counted(lan.a, alone) == good


def test_the_ttl(lan: Lan) -> None:
    """255 by default, as with the group; less where the administrator says so, for
    unicast alone."""
    c.create(lan.a, f"advbase 250 {peers(lan.client, families=(4, 6))}", addresses=MIXED)

    def is_heard(ttl: int) -> bool:
        results = set()
        for advertisement, name in ((BETTER, "rx_ipv4"), (BETTER6, "rx_ipv6")):
            result = counted(lan.a, sends(lan.client, advertisement.but(ttl=ttl).unicast(lan.a)))
            assert result in ({name: 1}, {name: 1, "rx_bad_ttl": 1})
            results.add("rx_bad_ttl" not in result)
        assert len(results) == 1
        return results.pop()

    assert [is_heard(ttl) for ttl in (255, 254, 64, 0)] == [True, False, False, False]
    set_carp(lan.a, "minttl 64")
    assert [is_heard(ttl) for ttl in (255, 64, 63)] == [True, True, False]
    set_carp(lan.a, "-carppeer")
    for advertisement in (BETTER, BETTER6):
        result = counted(lan.a, sends(lan.client, advertisement.but(ttl=254).frame()))
        assert result["rx_bad_ttl"] == 1, "minttl is none of the group's"


def test_across_a_router(world: World) -> None:
    """Two subnets: with the default each host is master, for the TTL says that the other
    is not here; with minttl they elect one. (The shared address has its place in one
    subnet only; that is for routing to solve.)"""
    a, b, router = world.make_hosts("a", "b", "router")
    for number, host in ((1, a), (2, b)):
        world.cable(host, "eth0", router, host.name)
        host.address, host.address6 = f"10.{number}.0.2", f"fd0{number}::2"
        host.ip_batch(
            "link set eth0 up",
            f"addr add {host.address}/24 dev eth0",
            f"addr add {host.address6}/64 dev eth0 nodad",
        )
        router.ip_batch(
            f"link set dev {host.name} up",
            f"addr add 10.{number}.0.1/24 dev {host.name}",
            f"addr add fd0{number}::1/64 dev {host.name} nodad",
        )
    router.sysctl("net.ipv4.ip_forward", 1)
    router.sysctl("net.ipv6.conf.all.forwarding", 1)
    for number, host in ((1, a), (2, b)):
        host.settle()
        host.ip_batch(
            f"route add default via 10.{number}.0.1", f"route add default via fd0{number}::1"
        )
    addresses = ("10.9.0.1/32", "fd09::1/128")
    for host, other, skew in ((a, b, 0), (b, a, 100)):
        c.create(host, peers(other, families=(4, 6)), advskew=skew, addresses=addresses)
    time.sleep(6)
    assert (c.state(a), c.state(b)) == ("master", "master")
    stats = c.stats(b)
    assert stats["rx_bad_ttl"] == stats["rx_ipv4"] + stats["rx_ipv6"] > 3
    for host in (a, b):
        set_carp(host, "minttl 64")
    c.wait_state(b, "backup", 2)
    capture = b.capture(only=ADVERTISEMENTS)
    time.sleep(4)
    assert (c.state(a), c.state(b)) == ("master", "backup")
    assert {it.ttl for it in advertisements(capture.received())} == {254}
    a.ip("link", "set", "carp0", "down")
    c.wait_state(b, "master", 1)


def test_a_peer_that_is_down(lan: Lan, log: Kmsg) -> None:
    """Nobody answers for its address: that is no error of ours, and demotes nobody."""
    lan.a.sysctl("net.inet.carp.log", 7)
    c.create(lan.a, "carppeer 10.0.0.77,fd00::77,fe80::77", addresses=MIXED)
    c.wait_state(lan.a, "master")
    time.sleep(12)
    stats = c.stats(lan.a)
    assert stats["tx_ipv4"] > 10 and stats["tx_ipv6"] > 20
    assert stats["tx_error"] == 0
    assert c.info(lan.a)["demote"] == 0
    assert c.state(lan.a) == "master"
    assert not [line for line in log.read() if "could not be sent" in line]


@pytest.mark.parametrize("route", ["", "unreachable", "prohibit"])
def test_no_way_to_a_peer(lan: Lan, route: str) -> None:
    """That is an error: three in a row demote, and as many successes take it back.
    (IPv4 takes a peer without route for one on the link.)"""
    peer = "2001:db8::9"
    if route:
        lan.a.ip("route", "add", route, peer)
    c.create(lan.a, f"carppeer {peer}", addresses=IPV6)
    wait_for(lambda: c.info(lan.a)["demote"] == 1, 8, "it is demoted", interval=0.2)
    # the fourth would have said that it is demoted
    stats = c.stats(lan.a)
    assert (stats["tx_ipv6"], stats["tx_error"]) == (0, 4)
    if route:
        lan.a.ip("route", "del", route, peer)
    lan.a.ip("route", "add", peer, "via", "fd00::100")
    # a demoted host goes on with advskew 240
    wait_for(lambda: c.info(lan.a)["demote"] == 0, 8, "no more", interval=0.2)


def test_a_firewall_in_the_way(lan: Lan) -> None:
    """The output chain has unicast advertisements; what it drops is not sent."""
    lan.a.run("nft", "add table ip t; add chain ip t out { type filter hook output priority 0; }")
    lan.a.run("nft", "add rule ip t out ip protocol 112 drop")
    c.create(lan.a, peers(lan.b))
    wait_for(lambda: c.info(lan.a)["demote"] == 1, 8, "it is demoted", interval=0.2)
    assert c.stats(lan.a)["tx_ipv4"] == 0


def test_peers_change_while_it_runs(lan: Lan) -> None:
    """From the group to peers, to others and back: the next advertisement goes there,
    and if all hosts change within three seconds nobody takes over."""
    c.create_pair(lan)
    capture = lan.a.capture(only=ADVERTISEMENTS)
    preempted = c.stats(lan.b)["preempt"]

    def destinations() -> set[str]:
        before = len(capture.sent())
        time.sleep(2.2)
        return {it.destination for it in advertisements(capture.sent()[before:])}

    for words, expected in (
        ("", {GROUP}),
        (peers(lan.b), {lan.b.address}),
        (peers(lan.b, lan.client), {lan.b.address, lan.client.address}),
        # with addresses of one family that of the other does not matter
        (peers(lan.b, families=(4, 6)), {lan.b.address}),
        ("-carppeer", {GROUP}),
    ):
        if words:
            set_carp(lan.a, words)
            set_carp(lan.b, words.replace(lan.b.address, lan.a.address))
        assert destinations() == expected
        assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    assert c.stats(lan.b)["preempt"] == preempted
    # a wrong one, and the hosts lose each other
    set_carp(lan.a, "carppeer 10.0.0.77")
    c.wait_state(lan.b, "master", 5)


def test_a_takeover_is_announced_as_ever(lan: Lan) -> None:
    """Clients and switches learn from ARP, for advertisements now carry the parent's
    MAC: it follows within the millisecond."""
    pair(lan, (4, 6), addresses=MIXED)
    assert lan.client.run("ping", "-c1", "-W1", VIP).returncode == 0
    capture = lan.client.capture(only="arp or (icmp6 and ip6[40] = 136)")
    sent = lan.b.capture(only=ADVERTISEMENTS)
    pinger = lan.client.ping(VIP, interval=0.005)
    lan.hard_cut(lan.a)
    c.wait_state(lan.b, "master", 5)
    time.sleep(0.2)
    pings = pinger.stop()
    assert pings[-20].received, "the address is there"
    first = advertisements(sent.sent())[0]
    announced = [p for p in capture.packets() if p.data[6:12] == c.virtual_mac(1)]
    assert {p.data[12:14] for p in announced} >= {b"\x08\x06", b"\x86\xdd"}
    assert all(0 <= p.time - first.time < kernel.work(MILLISECOND) for p in announced[:2])


def test_it_is_shown(lan: Lan) -> None:
    """As text that can be given again, and as JSON."""
    c.create(lan.a)
    text = lan.a.ip("-d", "link", "show", "carp0")
    assert "carppeer" not in text and "minttl" not in text and "linklocal" not in text
    shown = c.info(lan.a)
    assert shown["minttl"] == 255 and shown["linklocal"] is False
    assert not shown.get("carppeer")
    words = "carppeer 10.0.0.3,10.0.0.4,fd00::3,fe80::3 minttl 64"
    # one that is said twice is one
    set_carp(lan.a, words.replace("fe80::3", "fe80::3,10.0.0.3") + " linklocal")
    text = lan.a.ip("-d", "link", "show", "carp0")
    assert f" {words} " in text and " linklocal " in text
    shown = c.info(lan.a)
    assert shown["carppeer"] == ["10.0.0.3", "10.0.0.4", "fd00::3", "fe80::3"]
    assert shown["minttl"] == 64 and shown["linklocal"] is True
    set_carp(lan.a, "-carppeer minttl 255 -linklocal")
    assert "carppeer" not in lan.a.ip("-d", "link", "show", "carp0")
    assert c.info(lan.a)["linklocal"] is False


UNICAST = "Error: a carppeer is the unicast address of another host."


def test_what_is_refused(lan: Lan) -> None:
    """In words, and nothing is changed by it."""
    c.create(lan.a, "carppeer 10.0.0.3", up=False)
    before = lan.a.ip("-d", "link", "show", "carp0")
    sixteen = ",".join(f"10.0.1.{n}" for n in range(1, 17))
    sixteen6 = ",".join(f"fd00::1:{n}" for n in range(1, 17))
    for words, sentence in (
        ("carppeer 224.0.0.18", UNICAST),
        ("carppeer ff02::12", UNICAST),
        ("carppeer 0.0.0.0", UNICAST),
        ("carppeer ::", UNICAST),
        ("carppeer 127.0.0.1", UNICAST),
        ("carppeer ::1", UNICAST),
        ("carppeer 255.255.255.255", UNICAST),
        ("carppeer ::ffff:10.0.0.3", UNICAST),
        ("carppeer 0.1.2.3", UNICAST),
        # the good ones before the bad one are not taken either
        ("carppeer 10.0.0.4,224.0.0.18", UNICAST),
        (f"carppeer {sixteen},10.0.1.17", "Error: at most 16 carppeers of a family."),
        (f"carppeer {sixteen6},fd00::1:17", "Error: at most 16 carppeers of a family."),
        ("minttl 0", "Error: minttl must be 1-255."),
    ):
        done = lan.a.run("ip", *f"link set carp0 type carp {words}".split(), check=False)
        assert done.returncode and done.stderr.strip().split("\n")[0] == sentence, words
        assert lan.a.ip("-d", "link", "show", "carp0") == before, words
    set_carp(lan.a, f"carppeer {sixteen},{sixteen6}")
    assert len(c.info(lan.a)["carppeer"]) == 32
