# SPDX-License-Identifier: GPL-2.0
"""A TCP connection through a firewall whose ends are the test itself, segment by segment,
and of which a peer tells what it likes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lib import conntrack, intruder
from lib import pfsync as p
from lib import pfsync_wire as w
from lib.clock import wait_for
from lib.intruder import ACK, SYN, Segment
from lib.pair import CLIENT, SERVER, Pair
from lib.pfsync import CREATOR, Peer
from lib.pfsync_wire import Action, frame
from lib.world import World

TUPLE = (CLIENT, 2000, SERVER, 80)
CLIENT_AT, SERVER_AT, WINDOW = 1_000_000, 5_000_000, 65535
"""How far either end has got when a peer tells of it, and a window of 64 KiB."""

FILTER = """
table inet filter {
    chain forward {
        type filter hook forward priority filter; policy drop
        ct state established accept
        ct state new tcp flags & (syn | ack) == syn accept
    }
}
"""
# The ends are none: nobody answers.
SILENT = """
table inet silent {
    chain in { type filter hook input priority raw; meta l4proto tcp drop; }
}
"""


def side(seq: int, state: int = 4) -> w.Peer:
    """What pf says of an end that is at this number. Scaling is known: by nothing."""
    return w.Peer(seqlo=seq, seqhi=seq + WINDOW, max_win=WINDOW, state=state, wscale=0x80)


class Connection:
    """The connection, through host a of a pair; b is a peer that the test speaks for."""

    def __init__(self, pair: Pair, peer: Peer) -> None:
        self.pair, self.peer = pair, peer
        self.numbers = itertools.count(100)
        self.captures = {host: host.capture(only="tcp") for host in (pair.client, pair.server)}
        self.macs = {
            pair.client: pair.a.show("eth0")["address"],
            pair.server: pair.a.show("eth1")["address"],
        }

    def state(self, ahead: int = 0, id: bytes = b"windows1", creator: bytes = CREATOR) -> w.State:
        """As a peer tells of it: established, and so far ahead."""
        return w.State.of(
            TUPLE, id=id, src=side(CLIENT_AT + ahead), dst=side(SERVER_AT + ahead),
            creatorid=creator, proto=6, timeout=2, expire=4000,
        )  # fmt: skip

    def tell(self) -> None:
        """The peer tells of it, as pf does."""
        self.peer.send(frame((Action.INS, self.state())))
        wait_for(lambda: conntrack.entry(self.pair.a, proto=6), 2, "a has the connection")

    def begins(self, client: int = CLIENT_AT, server: int = SERVER_AT) -> None:
        """The handshake goes through a."""
        assert self.passes(client, 0, flags=SYN)
        assert self.passes(server, client + 1, answer=True, flags=SYN | ACK)
        assert self.passes(client + 1, server + 1)

    def passes(self, seq: int, ack: int, answer: bool = False, flags: int = ACK) -> bool:
        """Whether a segment with these numbers reaches the other end."""
        sender, receiver = self.pair.client, self.pair.server
        source, sport, destination, dport = TUPLE
        if answer:
            sender, receiver = receiver, sender
            source, sport, destination, dport = destination, dport, source, sport
        segment = Segment(
            source, sport, destination, dport,
            flags=flags, seq=seq, ack=ack, number=next(self.numbers),
        )  # fmt: skip
        sender.send_frame(segment.frame(self.macs[sender]))
        time.sleep(0.01)
        return bool(intruder.came_through(self.captures[receiver].packets(), segment))

    def from_client(self, ahead: int, ack: int = 0) -> bool:
        """Numbers are from where the peer knew them to be."""
        return self.passes(CLIENT_AT + ahead, SERVER_AT + ack)

    def from_server(self, ahead: int, ack: int = 0) -> bool:
        return self.passes(SERVER_AT + ahead, CLIENT_AT + ack, answer=True)


@contextmanager
def made(world: World) -> Iterator[Connection]:
    """Two firewalls; nobody has heard of the connection."""
    pair = Pair(world, rules=FILTER, start=False)
    for host in (pair.client, pair.server):
        host.run("nft", "-f", "-", input=SILENT)
    pair.a.sysctl("net.netfilter.nf_conntrack_tcp_loose", 0)
    for host in (pair.client, pair.server):
        pair.a.run("ping", "-c1", "-W2", host.address)
    with Peer(pair.b, "eth2") as peer:
        p.meet(pair.a, peer, syncdev="eth2")
        yield Connection(pair, peer)
