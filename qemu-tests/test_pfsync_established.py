# SPDX-License-Identifier: GPL-2.0
"""pfsync's word established: of a TCP connection peers are told when it is established."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from lib import conntrack
from lib import pfsync as p
from lib import traffic as t
from lib.clock import wait_for
from lib.host import Host
from lib.pair import NAT, SERVER, Datagrams, Pair, close, exchange
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

TCP = 6
WITHIN = 1.3


@pytest.fixture
def pair(world: World) -> Pair:
    return Pair(world, NAT, "established")


def silent(pair: Pair) -> None:
    """The server answers to no SYN of these ports."""
    rules = "add table t; add chain t i { type filter hook input priority 0; };"
    pair.server.run("nft", rules + " add rule t i tcp dport 6000-6999 drop")


def knock(host: Host, port: int) -> socket.socket:
    s = host.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setblocking(False)
    with pytest.raises(BlockingIOError):
        s.connect((SERVER, port))
    return s


@pytest.fixture
def half_open(pair: Pair) -> Iterator[list[socket.socket]]:
    silent(pair)
    sockets = [knock(pair.client, port) for port in range(6000, 6020)]
    yield sockets
    close(*sockets)


def told(pair: Pair) -> int:
    """How many TCP connections b knows."""
    return len(conntrack.entries(pair.b, proto=TCP))


def test_what_is_half_open_stays_here(pair: Pair, half_open: list[socket.socket]) -> None:
    """Nor is anything said when it ends; others are told of as ever."""
    flow = Datagrams(pair.client, pair.server, SERVER, 5000)
    flow.exchange()
    before = p.stats(pair.a)
    time.sleep(3)
    assert len(conntrack.entries(pair.a, proto=TCP)) == 20 and told(pair) == 0
    assert conntrack.entries(pair.b, proto=17)
    close(*half_open)
    pair.a.run("conntrack", "-D", "-p", "tcp")
    time.sleep(2.5)
    assert p.stats(pair.a)["sent_deletes"] == before["sent_deletes"]
    assert p.info(pair.a)["states"] == 1
    flow.close()


def test_established_is_told(pair: Pair) -> None:
    """With its first packets, as it is then; and its end."""
    mine, theirs = t.connect(pair.client, pair.server, SERVER, 5001)
    there = pair.wait_same(proto=TCP)
    assert there["tcp"] == "ESTABLISHED"
    assert p.stats(pair.a)["sent_inserts"] == 1
    exchange(mine, theirs)
    close(mine, theirs)
    pair.wait_same(proto=TCP)
    pair.a.run("conntrack", "-D", "-p", "tcp")
    wait_for(lambda: told(pair) == 0, 4, "b has heard of its end")


def test_it_becomes_established_later(pair: Pair, half_open: list[socket.socket]) -> None:
    """After a second in which nothing was to be told."""
    with closing(t.listen(pair.server, 6000)) as listener:
        time.sleep(1.5)
        assert told(pair) == 0
        pair.server.run("nft", "delete", "table", "t")
        theirs, _ = listener.accept()
        wait_for(lambda: told(pair) == 1, 3, "b knows it")
        close(theirs)


def test_what_is_refused_is_not_told(pair: Pair) -> None:
    """An RST for an answer: it never was established."""
    for _ in range(5):
        with pair.client.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            s.settimeout(2)
            with pytest.raises(ConnectionRefusedError):
                s.connect((SERVER, 5999))
    time.sleep(WITHIN)
    assert p.stats(pair.a)["sent_inserts"] == told(pair) == 0


def test_who_asks_for_all_is_not_told_of_it(pair: Pair, half_open: list[socket.socket]) -> None:
    """Nor is he when others have ended; and when the word is gone he is."""
    mine, theirs = t.connect(pair.client, pair.server, SERVER, 5001)
    wait_for(lambda: told(pair) == 1, 2, "b has what is established")
    pair.b.run("conntrack", "-F")
    for state in ("down", "up"):
        pair.b.ip("link", "set", "pfsync0", state)
    p.wait_bulk(pair.b)
    wait_for(lambda: told(pair) == 1, 3, "b has what is established")
    time.sleep(WITHIN)
    assert told(pair) == 1
    p.change(pair.a, "-established")
    for state in ("down", "up"):
        pair.b.ip("link", "set", "pfsync0", state)
    wait_for(lambda: told(pair) == 21, 3, "b has all")
    close(mine, theirs)


def test_with_defer_the_first_packet_is_not_held(world: World) -> None:
    pair = Pair(world, NAT, "established defer")
    close(*t.connect(pair.client, pair.server, SERVER, 5001))
    assert p.stats(pair.a)["deferred"] == 0
    flow = Datagrams(pair.client, pair.server, SERVER, 5000)
    flow.exchange()
    assert p.stats(pair.a)["deferred"] == 1
    flow.close()
