# SPDX-License-Identifier: GPL-2.0
"""What a host lets through of a TCP connection that a peer has told of: the peer's
windows may be old, for it died before it could tell what it let through last."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest
from lib import conntrack
from lib import intruder as i
from lib import pfsync as p
from lib import pfsync_wire as w
from lib.clock import wait_for
from lib.pair import BE_LIBERAL, CLIENT, SERVER, Pair
from lib.pfsync import CREATOR, Peer
from lib.pfsync_wire import Action, frame
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

CONNECTION = (CLIENT, 2000, SERVER, 80)
# what the peer has told of: how far either end has got, and a window of 64 KiB
CLIENT_AT, SERVER_AT, WINDOW = 1_000_000, 5_000_000, 65535
# how long a host is lenient after a peer's last word
LENIENT = 60

FILTER = """
table inet filter {
    chain forward {
        type filter hook forward priority filter; policy drop
        ct state established accept
    }
}
"""
# The ends are none: nobody answers.
SILENT = """
table inet silent {
    chain in { type filter hook input priority raw; meta l4proto tcp drop; }
}
"""


class Connection:
    """A connection through host a, of which a peer has told; the test is its ends."""

    def __init__(self, pair: Pair, peer: Peer) -> None:
        self.pair, self.peer = pair, peer
        self.numbers = itertools.count(100)
        self.captures = {host: host.capture(only="tcp") for host in (pair.client, pair.server)}
        self.macs = {
            pair.client: pair.a.show("eth0")["address"],
            pair.server: pair.a.show("eth1")["address"],
        }

    def told(self) -> None:
        """The peer tells of it."""

        def side(seq: int) -> w.Peer:
            # scaling is known, and it is by nothing
            return w.Peer(seqlo=seq, seqhi=seq + WINDOW, max_win=WINDOW, state=4, wscale=0x80)

        state = w.State.of(
            CONNECTION, id=b"windows1", src=side(CLIENT_AT), dst=side(SERVER_AT),
            creatorid=CREATOR, proto=6, timeout=2, expire=4000,
        )  # fmt: skip
        self.peer.send(frame((Action.INS, state)))
        wait_for(lambda: conntrack.entry(self.pair.a, proto=6), 2, "a has the connection")

    def passes(self, seq: int, ack: int, answer: bool = False) -> bool:
        """Whether a segment with these numbers reaches the other end."""
        sender, receiver = self.pair.client, self.pair.server
        source, sport, destination, dport = CONNECTION
        if answer:
            sender, receiver = receiver, sender
            source, sport, destination, dport = destination, dport, source, sport
        segment = i.Segment(
            source, sport, destination, dport, seq=seq, ack=ack, number=next(self.numbers)
        )
        sender.send_frame(segment.frame(self.macs[sender]))
        time.sleep(0.01)
        return bool(i.came_through(self.captures[receiver].packets(), segment))

    def from_client(self, ahead: int, ack: int = 0) -> bool:
        """Numbers are from where the peer knew them to be."""
        return self.passes(CLIENT_AT + ahead, SERVER_AT + ack)

    def from_server(self, ahead: int, ack: int = 0) -> bool:
        return self.passes(SERVER_AT + ahead, CLIENT_AT + ack, answer=True)


@pytest.fixture
def connection(pfsync: None, world: World) -> Iterator[Connection]:
    pair = Pair(world, rules=FILTER, start=False)
    for host in (pair.client, pair.server):
        host.run("nft", "-f", "-", input=SILENT)
    pair.a.sysctl("net.netfilter.nf_conntrack_tcp_loose", 0)
    for host in (pair.client, pair.server):
        pair.a.run("ping", "-c1", "-W2", host.address)
    with Peer(pair.b, "eth2") as peer:
        p.meet(pair.a, peer, syncdev="eth2")
        connection = Connection(pair, peer)
        connection.told()
        yield connection


def test_what_was_lost_is_sent_again(connection: Connection) -> None:
    """The client had sent 200 kB that the peer did not tell of, and the server's
    acknowledgements were lost; the first that comes is new, the second is old."""
    assert connection.from_server(100, ack=0)
    assert connection.from_client(0, ack=100), "data is sent again"
    assert connection.from_server(120, ack=200_000), "all of it had come"
    assert connection.from_client(200_000, ack=140)
    assert connection.from_server(140, ack=200_020)


def test_beyond_every_window(connection: Connection) -> None:
    """No host is lenient about that, be it the first segment or a later one."""
    for ahead in (1 << 26, 1 << 30, -(1 << 30)):
        assert not connection.from_server(ahead)
        assert not connection.from_server(10, ack=ahead)
    assert connection.from_server(10)
    assert not connection.from_client(1 << 26)
    assert not connection.from_client(0, ack=1 << 26)
    assert connection.from_client(0, ack=10)


def is_lenient(connection: Connection) -> bool:
    entry = conntrack.entry(connection.pair.a, proto=6)
    assert entry
    return all(flags & BE_LIBERAL for flags in entry["flags"])


@pytest.mark.parametrize("ahead", [0, 1_000_000], ids=["idle", "ahead"])
def test_strict_in_the_end(connection: Connection, ahead: int) -> None:
    """A minute after the peer's last word windows are checked as those of any other
    connection; what was learned meanwhile is what counts."""
    if ahead:
        assert connection.from_client(ahead) and connection.from_server(20, ack=ahead + 20)
    assert is_lenient(connection)
    time.sleep(LENIENT + 3)
    assert not is_lenient(connection)
    assert not connection.from_client(ahead + 3 * WINDOW)
    assert not connection.from_server(50, ack=ahead + 3 * WINDOW)
    assert connection.from_client(ahead + 20)
    assert connection.from_server(40, ack=ahead + 20)
