# SPDX-License-Identifier: GPL-2.0
"""Connections whose packets a flow table forwards, past connection tracking: what peers have
of them."""

from __future__ import annotations

import time

import pytest
from lib import conntrack, kernel
from lib import pfsync as p
from lib import traffic as t
from lib.clock import wait_for
from lib.conntrack import has
from lib.host import Host
from lib.pair import BE_LIBERAL, SERVER, Datagrams, Pair
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

TCP, UDP = 6, 17
STREAM = 60
"""nf_conntrack_udp_timeout_stream, made shorter."""
OFFLOADED_FOR = 30
"""nf_flowtable_udp_timeout."""

FLOWTABLE = """
table inet x {
    flowtable f {
        hook ingress priority 0
        devices = { eth0, eth1 }
    }
    chain forward {
        type filter hook forward priority filter
        meta l4proto { tcp, udp } flow add @f
    }
}
"""


@pytest.fixture(autouse=True)
def flow_tables() -> None:
    kernel.load("nf_flow_table_inet", "nft_flow_offload")


def is_offloaded(host: Host, proto: int) -> bool:
    entry = conntrack.entry(host, proto=proto)
    return bool(entry) and has(entry, "OFFLOAD")


def is_lenient(host: Host) -> bool:
    entry = conntrack.entry(host, proto=TCP)
    assert entry
    return all(flags & BE_LIBERAL for flags in entry["flags"])


def test_a_copy_lives_as_long_as_the_protocol_says(world: World) -> None:
    """While packets come it stays, though nobody sees them; then it goes in time."""
    pair = Pair(world)
    pair.a.run("nft", "-f", "-", input=FLOWTABLE)
    pair.a.sysctl("net.netfilter.nf_conntrack_udp_timeout_stream", STREAM)
    flow = Datagrams(pair.client, pair.server, SERVER, 5004)
    begin = time.monotonic()
    while time.monotonic() - begin < 2 * STREAM:
        flow.exchange()
        time.sleep(3)
        there = conntrack.entry(pair.b, proto=UDP)
        assert there and there["timeout"] <= STREAM
    assert is_offloaded(pair.a, UDP)
    flow.close()
    time.sleep(OFFLOADED_FOR + STREAM + 5)
    for host in pair.hosts:
        assert conntrack.entry(host, proto=UDP) is None, host


def test_the_flow_tables_own_leniency_stays(world: World) -> None:
    """It lets packets pass that conntrack never sees, so windows mean nothing."""
    pair = Pair(world)
    mine, theirs = t.connect(pair.client, pair.server, SERVER, 5001)
    pair.wait_same(proto=TCP)
    assert is_lenient(pair.b), "a peer told of it"
    pair.b.run("nft", "-f", "-", input=FLOWTABLE)
    pair.via(pair.b)
    for _ in range(22):
        for one, other in ((mine, theirs), (theirs, mine)):
            one.sendall(b"x")
            assert other.recv(16) == b"x"
        time.sleep(3)
    assert is_offloaded(pair.b, TCP)
    # conntrack tells it of no entry that is offloaded
    pair.b.run("nft", "delete", "table", "inet", "x")
    wait_for(lambda: not is_offloaded(pair.b, TCP), 5, "it is no more")
    assert is_lenient(pair.b)
    for end in (mine, theirs):
        end.close()


def test_nothing_is_left_lenient(world: World) -> None:
    """When pfsync0 goes down nobody would ever make it strict again."""
    pair = Pair(world)
    mine, theirs = t.connect(pair.client, pair.server, SERVER, 5001)
    pair.wait_same(proto=TCP)
    assert is_lenient(pair.b)
    pair.b.ip("link", "set", "pfsync0", "down")
    assert not is_lenient(pair.b)
    assert p.info(pair.b)["states"] == 0
    for end in (mine, theirs):
        end.close()
