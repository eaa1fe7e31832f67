# SPDX-License-Identifier: GPL-2.0
"""What stays at home: a firewall's own connections, and what its administrator marks."""

from __future__ import annotations

import time

import pytest
from lib import conntrack
from lib import pfsync as p
from lib import traffic as t
from lib.clock import wait_for
from lib.pair import SERVER, SERVER6, SHARED, Datagrams, Pair
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

UDP = 17
WITHIN = 1.3
FOUND = 3
"""What is in the table without a packet that was seen is met by who walks through it."""

RULES = f"""
table inet nat {{
    chain prerouting {{
        type nat hook prerouting priority dstnat
        ip daddr {SHARED} udp dport 53 redirect to :5353
        ip daddr {SHARED} udp dport 80 dnat to 192.0.2.100:8080
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat
        ip saddr 10.1.0.0/24 oifname "eth1" masquerade
    }}
}}
"""


def own(pair: Pair) -> list[int]:
    """Connections of a, each with a datagram and an answer; returns their ports at it."""
    here, there = pair.a, pair.server
    flows = [
        # from it, and to it
        Datagrams(here, there, SERVER, 7001),
        Datagrams(here, there, SERVER6, 7002),
        Datagrams(pair.client, here, "10.1.0.2", 7003),
        Datagrams(there, here, "fd02::2", 7004),
        # to what it translates to itself
        Datagrams(pair.client, here, SHARED, 53, to=5353),
    ]
    for flow in flows:
        flow.exchange()
        flow.close()
    return [7001, 7002, 7003, 7004, 53]


def others(pair: Pair) -> list[int]:
    """Connections through a."""
    flows = [
        Datagrams(pair.client, pair.server, SERVER, 7101),
        Datagrams(pair.client, pair.server, SERVER6, 7102),
        # to an address that is its own, but not for it
        Datagrams(pair.client, pair.server, SHARED, 80, to=8080),
    ]
    for flow in flows:
        flow.exchange()
        flow.close()
    return [7101, 7102, 80]


def ports(pair: Pair) -> set[int]:
    """Which connections b knows."""
    return {one["original"][3] for one in conntrack.entries(pair.b, proto=UDP)}


def make(world: World) -> Pair:
    pair = Pair(world, RULES, start=False)
    for host in pair.hosts:
        host.ip("addr", "add", f"{SHARED}/32", "dev", "lo")
    pair.client.ip("route", "add", f"{SHARED}/32", "via", "10.1.0.2")
    return pair


def start(pair: Pair, words: str = "") -> None:
    for host in pair.hosts:
        p.create(host, words, syncdev="eth2", local=False)
    for host in pair.hosts:
        p.wait_bulk(host)


@pytest.mark.parametrize("before", [False, True], ids=["new", "there before"])
def test_a_firewalls_own_stay(world: World, before: bool) -> None:
    """Those through it go, with DNAT from its own address; also those that the walk finds."""
    pair = make(world)
    if not before:
        start(pair)
    mine, through = own(pair), others(pair)
    if before:
        start(pair)
        time.sleep(FOUND)
    else:
        time.sleep(WITHIN)
    assert set(mine + through) <= {
        one["original"][3] for one in conntrack.entries(pair.a, proto=UDP)
    }
    assert ports(pair) == set(through)


def test_a_word_turns_them_on(world: World) -> None:
    """And off again: then what is new stays."""
    pair = make(world)
    start(pair, "local")
    through = own(pair) + others(pair)
    time.sleep(WITHIN)
    assert ports(pair) == set(through)
    p.change(pair.a, "-local")
    flow = Datagrams(pair.client, pair.a, "10.1.0.2", 7005)
    flow.exchange()
    time.sleep(WITHIN)
    assert 7005 not in ports(pair)
    flow.close()


def test_own_connections_are_not_held(world: World) -> None:
    """`defer` waits for a peer that has the state; here none is to have it."""
    pair = Pair(world, words="defer")
    mine, theirs = t.connect(pair.client, pair.a, "10.1.0.2", 5001)
    answer = Datagrams(pair.client, pair.a, "10.1.0.2", 5002)
    answer.exchange()
    assert p.stats(pair.a)["deferred"] == 0
    for end in (mine, theirs):
        end.close()
    answer.close()


MARKED = "nosync-mark 0x100/0x100"
MARKING = """
table inet t {
    chain mangle {
        type filter hook forward priority mangle
        udp dport 5001 ct mark set 0x1f0
    }
}
"""


def test_a_mark_that_changes(world: World) -> None:
    """Who gets the mark stays from then on, and peers forget it; who loses it is told of."""
    pair = Pair(world, words=MARKED)
    flow = Datagrams(pair.client, pair.server, SERVER, 5001)
    flow.exchange()
    pair.wait_same(proto=UDP)
    pair.a.run("conntrack", "-U", "-p", "udp", "--mark", "0x100")
    flow.exchange()
    wait_for(lambda: not conntrack.entry(pair.b, proto=UDP), WITHIN, "b has forgotten it")
    assert conntrack.entry(pair.a, proto=UDP)
    pair.a.run("conntrack", "-U", "-p", "udp", "--mark", "0")
    time.sleep(FOUND)
    flow.exchange()
    pair.wait_same(proto=UDP)
    flow.close()


def test_what_is_marked_is_not_taken_either(world: World) -> None:
    """From a peer that does not know better."""
    pair = Pair(world, start=False)
    p.create(pair.a, syncdev="eth2")
    p.create(pair.b, MARKED, syncdev="eth2")
    for host in pair.hosts:
        p.wait_bulk(host)
    flows = [Datagrams(pair.client, pair.server, SERVER, port) for port in (5001, 5002)]
    pair.a.run("nft", "-f", "-", input=MARKING)
    for flow in flows:
        flow.exchange()
    time.sleep(WITHIN)
    assert ports(pair) == {5002} and p.stats(pair.b)["skipped"] > 0
    for flow in flows:
        flow.close()
