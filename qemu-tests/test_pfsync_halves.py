# SPDX-License-Identifier: GPL-2.0
"""pf has two states of a forwarded connection, one where it comes in and one where it goes
out, and each has its own part of the translation. Linux has one entry."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from lib import conntrack
from lib import pfsync as p
from lib import pfsync_wire as w
from lib.clock import wait_for
from lib.conntrack import has
from lib.host import Host
from lib.lan import Lan
from lib.pair import CLIENT, FORWARDED, NAT, SERVER, SHARED, Pair
from lib.pfsync import CREATOR, Peer
from lib.pfsync_wire import IN, OUT, Action, frame
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

NAMES = {IN: b"inbound1", OUT: b"outbound"}
OPEN = w.Peer(seqlo=1000, seqhi=60000, max_win=60000, state=4, wscale=0x80)
MULTIPLE = w.Peer(state=2)


@dataclass(frozen=True)
class Connection:
    """From `source` to `to`, which is translated to `server`; who is translated to `by`."""

    proto: int
    source: tuple[str, int]
    to: tuple[str, int]
    server: tuple[str, int]
    by: tuple[str, int]

    @property
    def original(self) -> w.Tuple:
        return w.Tuple(*self.source, *self.to)

    @property
    def reply(self) -> w.Tuple:
        return w.Tuple(*self.server, *self.by)

    def half(self, direction: int, **fields: object) -> w.State:
        """pf's state where it comes in, or where it goes out."""
        if direction == IN:
            original, reply = self.original, w.Tuple(*self.server, *self.source)
        else:
            original, reply = w.Tuple(*self.source, *self.server), self.reply
        peers = {
            6: {"src": OPEN, "dst": OPEN, "timeout": 2, "expire": 4000},
            17: {"src": MULTIPLE, "dst": MULTIPLE, "timeout": 8, "expire": 500},
            1: {"timeout": 9, "expire": 500},
        }
        values = {
            "id": NAMES[direction], "creatorid": CREATOR, "proto": self.proto,
            "direction": direction, **peers[self.proto], **fields,
        }  # fmt: skip
        return w.State.of(original, reply, **values)


CLIENT_END, PUBLIC, INSIDE, SHARED_END = (
    ("198.51.100.9", 7000), ("203.0.113.1", 80), ("192.0.2.80", 8080), ("192.0.2.1", 61000),
)  # fmt: skip
SIX = (
    ("2001:db8::9", 7000), ("2001:db8:1::1", 80), ("fd00:2::80", 8080), ("fd00:2::1", 61000),
)  # fmt: skip


def connections() -> dict[str, Connection]:
    made = {}
    for name, proto, ends in (("TCP", 6, None), ("UDP", 17, None), ("IPv6", 6, SIX)):
        source, public, server, by = ends or (CLIENT_END, PUBLIC, INSIDE, SHARED_END)
        made |= {
            f"{name}, none": Connection(proto, source, server, server, source),
            f"{name}, rdr-to": Connection(proto, source, public, server, source),
            f"{name}, nat-to": Connection(proto, source, server, server, by),
            f"{name}, both": Connection(proto, source, public, server, by),
        }
    # its ports are the id and the type
    made["ICMP, nat-to"] = Connection(
        1, ("198.51.100.9", 77), ("192.0.2.80", 8), ("192.0.2.80", 78), ("192.0.2.1", 0)
    )
    return made


CONNECTIONS = connections()


@dataclass(frozen=True)
class Router:
    """Host a of a pair, which forwards between two sockets; b is a peer that the test speaks
    for."""

    a: Host
    peer: Peer
    inside: socket.socket
    outside: socket.socket


@pytest.fixture
def router(pfsync: None, world: World) -> Iterator[Router]:
    pair = Pair(world, rules=NAT, start=False)
    with (
        Peer(pair.b, "eth2") as peer,
        pair.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as inside,
        pair.server.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside,
    ):
        p.meet(pair.a, peer, syncdev="eth2")
        for end, address in ((inside, (CLIENT, 8080)), (outside, (SERVER, 7000))):
            end.bind(address)
            end.settimeout(3)
        yield Router(pair.a, peer, inside, outside)


@pytest.fixture
def peer(lan: Lan) -> Iterator[Peer]:
    """b, with which a's pfsync0 has met."""
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        yield peer


@pytest.mark.parametrize("first", [IN, OUT], ids=["in", "out"])
@pytest.mark.parametrize("name", [name for name in CONNECTIONS if "ICMP" not in name])
def test_both_halves_are_one_entry(lan: Lan, peer: Peer, name: str, first: int) -> None:
    """Whichever comes first; each is confirmed, and each name is known."""
    connection = CONNECTIONS[name]
    halves = [connection.half(way, state_flags=w.ACK) for way in (first, 3 - first)]
    for half in halves:
        peer.send(frame((Action.INS, half)))
        assert peer.wait(Action.INS_ACK).frame.all(Action.INS_ACK) == [half.name]
    (entry,) = conntrack.entries(lan.a, proto=connection.proto)
    assert (entry["original"], entry["reply"]) == (connection.original, connection.reply)
    assert has(entry, "SRC_NAT") == (connection.by != connection.source)
    assert has(entry, "DST_NAT") == (connection.to != connection.server)
    assert p.info(lan.a)["states"] == 1 and not p.stats(lan.a)["conflicts"]
    # again, as in a bulk update, in one frame
    counted = p.counted(lan.a, peer.sends(frame((Action.UPD, *halves))))
    assert (counted["updated"], counted["sent_acks"]) == (2, 2)
    assert conntrack.entry(lan.a, proto=connection.proto)["id"] == entry["id"]
    # either name is good for updates
    for half in halves:
        update = w.Update(half.id, CREATOR, half.src, half.dst, half.timeout)
        counted = p.counted(lan.a, peer.sends(frame((Action.UPD_C, update))))
        assert counted == {"ipackets": 1, "updated": 1}
    # and it goes with the last of them
    for half, left in zip(halves, (1, 0), strict=True):
        counted = p.counted(lan.a, peer.sends(frame((Action.DEL_C, half.name))))
        assert counted == {"ipackets": 1, "deleted": 1}
        found = conntrack.entries(lan.a, proto=connection.proto)
        assert [(one["original"], one["reply"]) for one in found] == [halves[1].tuples()] * left
        assert p.info(lan.a)["states"] == left
    said = [one.frame.all(Action.UPD, Action.UPD_C, Action.DEL_C) for one in peer.collect(2)]
    assert not any(said), "it was the peer's"


@pytest.mark.parametrize("first", [IN, OUT], ids=["in", "out"])
def test_icmp(lan: Lan, peer: Peer, first: int) -> None:
    connection = CONNECTIONS["ICMP, nat-to"]
    # of the answers pf has the type of the question
    inside = w.State.of(
        ("198.51.100.9", 77, "192.0.2.80", 8), ("192.0.2.80", 8, "198.51.100.9", 77),
        id=NAMES[IN], creatorid=CREATOR, proto=1, direction=IN, timeout=9, expire=500,
    )  # fmt: skip
    outside = w.State.of(
        ("198.51.100.9", 77, "192.0.2.80", 8), ("192.0.2.80", 8, "192.0.2.1", 78),
        id=NAMES[OUT], creatorid=CREATOR, proto=1, direction=OUT, timeout=9, expire=500,
    )  # fmt: skip
    halves = {IN: inside, OUT: outside}
    peer.send(frame((Action.INS, halves[first])), frame((Action.INS, halves[3 - first])))
    time.sleep(0.02)
    (entry,) = conntrack.entries(lan.a, proto=1)
    assert entry["original"].source == connection.source[0]
    assert entry["reply"].destination == "192.0.2.1" and p.info(lan.a)["states"] == 1


def test_what_does_not_belong_together(lan: Lan, peer: Peer) -> None:
    """Of other connections, of the same side, without a direction: each is by itself."""
    connection = CONNECTIONS["TCP, both"]
    other = Connection(6, ("198.51.100.9", 7001), PUBLIC, INSIDE, ("192.0.2.1", 61001))
    peer.send(frame((Action.INS, connection.half(IN), other.half(OUT, id=b"another1"))))
    peer.send(frame((Action.INS, connection.half(IN).but(id=b"inbound2", direction=0))))
    time.sleep(0.02)
    assert len(conntrack.entries(lan.a, proto=6)) == 2 == p.info(lan.a)["states"]
    # the same side anew: the greater name is the living one
    anew = connection.half(IN, id=b"inbound2")
    counted = p.counted(lan.a, peer.sends(frame((Action.INS, anew))))
    assert (counted["inserted"], counted["deleted"]) == (1, 1)
    assert p.counted(lan.a, peer.sends(frame((Action.INS, connection.half(OUT)))))["inserted"] == 1
    assert p.info(lan.a)["states"] == 2
    # all of a creator's go by all names
    peer.send(frame((Action.CLR, w.Clear(CREATOR))))
    wait_for(lambda: not conntrack.entries(lan.a, proto=6), 2, "they are gone")
    assert p.info(lan.a)["states"] == 0


@pytest.mark.parametrize("first", [IN, OUT], ids=["in", "out"])
def test_packets_go_on_after_a_takeover(router: Router, first: int) -> None:
    """pf had a port forwarded; this host goes on with it, and tells pf by both names."""
    connection = Connection(
        17, (SERVER, 7000), (SHARED, FORWARDED), (CLIENT, 8080), ("10.1.0.2", 7777)
    )
    peer = router.peer
    for half in (connection.half(first), connection.half(3 - first)):
        peer.send(frame((Action.INS, half)))
    time.sleep(0.02)
    router.outside.sendto(b"ping", (SHARED, FORWARDED))
    assert router.inside.recvfrom(100) == (b"ping", ("10.1.0.2", 7777))
    router.inside.sendto(b"pong", ("10.1.0.2", 7777))
    assert router.outside.recvfrom(100) == (b"pong", (SHARED, FORWARDED))
    updates = [m for one in peer.collect(1.3) for m in one.frame.all(Action.UPD_C)]
    assert {m.id for m in updates} == set(NAMES.values())
    # it is this host's to say that it is over
    router.a.run("conntrack", "-D", "-p", "udp")
    gone = [m for one in peer.collect(2.3) for m in one.frame.all(Action.DEL_C)]
    assert {m.id for m in gone} == set(NAMES.values())


def tells(peer: Peer, seconds: float) -> list[tuple[w.State, w.Extra | None]]:
    """The states that a host tells of, with what goes beside them."""
    found = []
    for one in peer.collect(seconds):
        beside = {extra.name: extra for extra in one.frame.all(Action.EXTRA)}
        states = one.frame.states()
        found += [(state, beside.get(state.name)) for state in states]
        if states:
            peer.send(frame((Action.INS_ACK, *(state.name for state in states))))
    return found


@pytest.mark.parametrize("when", ["asks", "tells"])
@pytest.mark.parametrize("forwarded", [False, True], ids=["nat-to", "rdr-to"])
def test_pf_is_told_of_both_halves(router: Router, forwarded: bool, when: str) -> None:
    """Of each as pf has it, so that it finds the packets of both interfaces; what goes beside
    the second one tells Linux that it is that."""
    peer = router.peer
    if when == "tells":
        stranger = CONNECTIONS["UDP, none"].half(OUT)
        peer.send(frame((Action.INS, stranger)), frame((Action.DEL_C, stranger.name)))
    sender, to, sink = router.inside, (SERVER, 7000), router.outside
    if forwarded:
        sender, to, sink = router.outside, (SHARED, FORWARDED), router.inside
    sender.sendto(b"ping", to)
    assert sink.recvfrom(100)[0] == b"ping"
    if when == "asks":
        assert all("half_of" not in extra.values for _, extra in tells(peer, 1.3) if extra)
        peer.send(frame((Action.UPD_REQ, w.EVERYTHING)))
    told = [(state, extra) for state, extra in tells(peer, 3) if state.proto == 17]
    entry = conntrack.entry(router.a, proto=17)
    assert entry
    halves = {state.direction: (state, extra) for state, extra in told}
    assert len({state.name for state, _ in told}) == 2 and set(halves) == {IN, OUT}
    between = w.Tuple(*entry["original"][:2], *entry["reply"][:2])
    assert halves[IN][0].tuples() == (entry["original"], between.inverted())
    assert halves[OUT][0].tuples() == (between, entry["reply"])
    main = IN if forwarded else OUT
    beside = halves[3 - main][1]
    assert beside and beside.values == {"half_of": halves[main][0].name}
    beside = halves[main][1]
    assert beside and "half_of" not in beside.values
    # both are kept up to date, and end
    sender.sendto(b"ping", to)
    updates = [m for one in peer.collect(1.3) for m in one.frame.all(Action.UPD_C)]
    names = {state.id for state, _ in told}
    assert {m.id for m in updates} == names
    router.a.run("conntrack", "-D", "-p", "udp")
    gone = [m for one in peer.collect(2.3) for m in one.frame.all(Action.DEL_C)]
    assert {m.id for m in gone} == names


def test_linux_learns_the_second_name(lan: Lan, peer: Peer) -> None:
    """From another Linux host; it says nothing else. Who has not the first has no use for it."""
    connection = CONNECTIONS["UDP, rdr-to"]
    first, second = connection.half(IN), connection.half(OUT, state_flags=w.ACK)
    beside = w.Extra(first.id, CREATOR, {"timeout": 500})
    marked = w.Extra(second.id, CREATOR, {"half_of": first.name})
    tell_second = frame((Action.EXTRA, marked), (Action.INS, second))
    assert p.counted(lan.a, peer.sends(tell_second)) == {"ipackets": 1}
    peer.send(frame((Action.EXTRA, beside), (Action.INS, first)))
    for _ in range(2):
        assert p.counted(lan.a, peer.sends(tell_second)).get("sent_acks") == 1
    entry = conntrack.entry(lan.a, proto=17)
    assert entry and (entry["original"], entry["reply"]) == (connection.original, connection.reply)
    assert 495 <= entry["timeout"] <= 500 and p.info(lan.a)["states"] == 1
    # nor does an update by it
    update = w.Update(second.id, CREATOR, w.Peer(state=1), w.Peer(state=0), 6)
    data = frame((Action.EXTRA, marked), (Action.UPD_C, update))
    assert p.counted(lan.a, peer.sends(data)) == {"ipackets": 1}
    # and it ends with the first, for Linux has one
    peer.send(frame((Action.DEL_C, first.name)))
    time.sleep(0.02)
    assert not conntrack.entries(lan.a, proto=17) and p.info(lan.a)["states"] == 0


def test_two_linux_hosts_have_given_it_a_second_name(lan: Lan, peer: Peer) -> None:
    """They keep the lesser one."""
    connection = CONNECTIONS["UDP, rdr-to"]
    first, second = connection.half(IN), connection.half(OUT, id=b"second22")
    peer.send(
        frame((Action.EXTRA, w.Extra(first.id, CREATOR, {"timeout": 500})), (Action.INS, first))
    )
    for id, kept in ((b"second22", b"second22"), (b"second11", b"second11"), (b"second33", None)):
        state = second.but(id=id, state_flags=w.ACK)
        marked = w.Extra(id, CREATOR, {"half_of": first.name})
        peer.send(frame((Action.EXTRA, marked), (Action.INS, state)))
        if kept:
            assert peer.wait(Action.INS_ACK).frame.all(Action.INS_ACK) == [state.name]
        else:
            (told,) = peer.wait(Action.UPD).frame.states()
            assert told.id == b"second11" and told.direction == OUT


@pytest.mark.parametrize("first", [IN, OUT], ids=["in", "out"])
@pytest.mark.parametrize("forwarded", [False, True], ids=["nat-to", "rdr-to"])
def test_pf_keeps_its_names(router: Router, forwarded: bool, first: int) -> None:
    """Both hosts have seen the first packet: pf's two names are this host's as well, and the
    connection goes with the last."""
    a, peer = router.a, router.peer
    sender, to, sink = router.inside, (SERVER, 7000), router.outside
    ends = (CLIENT, 8080), to, to, (SHARED, 8080)
    if forwarded:
        sender, to, sink = router.outside, (SHARED, FORWARDED), router.inside
        ends = (SERVER, 7000), to, (CLIENT, 8080), (SERVER, 7000)
    connection = Connection(17, *ends)
    sender.sendto(b"ping", to)
    assert sink.recvfrom(100)[0] == b"ping"
    tells(peer, 1.3)
    for way in (first, 3 - first):
        half = connection.half(way, state_flags=w.ACK)
        peer.send(frame((Action.INS, half)))
        assert peer.wait(Action.INS_ACK).frame.all(Action.INS_ACK) == [half.name]
    assert p.info(a)["states"] == 1 and not p.stats(a)["conflicts"]
    sender.sendto(b"ping", to)
    assert sink.recvfrom(100)[0] == b"ping"
    updates = [m for one in peer.collect(1.3) for m in one.frame.all(Action.UPD_C)]
    assert {m.id for m in updates} == set(NAMES.values())
    # pf has it again
    for way in (IN, OUT):
        half = connection.half(way)
        update = w.Update(half.id, CREATOR, half.src, half.dst, half.timeout)
        counted = p.counted(a, peer.sends(frame((Action.UPD_C, update))))
        assert counted == {"ipackets": 1, "updated": 1}
    for way, left in ((IN, 1), (OUT, 0)):
        peer.send(frame((Action.DEL_C, connection.half(way).name)))
        time.sleep(0.02)
        assert len(conntrack.entries(a, proto=17)) == left


def test_sequence_numbers_that_pf_has_changed(lan: Lan, peer: Peer) -> None:
    """modulate state: the numbers of the second half are no news for the first, nor the other
    way round; both are one connection all the same."""
    connection = CONNECTIONS["TCP, nat-to"]
    far = w.Peer(seqlo=1 << 30, seqhi=(1 << 30) + 60000, max_win=60000, state=4, wscale=0x80)
    halves = connection.half(IN), connection.half(OUT, src=far, dst=far)
    assert p.counted(lan.a, peer.sends(frame((Action.INS, *halves))))["inserted"] == 2
    (entry,) = conntrack.entries(lan.a, proto=6)
    assert (entry["original"], entry["reply"]) == (connection.original, connection.reply)
    for half, updated in zip(halves, (1, None), strict=True):
        update = w.Update(half.id, CREATOR, half.src, half.dst, half.timeout)
        counted = p.counted(lan.a, peer.sends(frame((Action.UPD_C, update))))
        assert (counted.get("updated"), counted.get("stale")) == (updated, None)
    said = [one.frame.all(Action.UPD, Action.UPD_C) for one in peer.collect(2)]
    assert not any(said)
    # of what is left they are
    peer.send(frame((Action.DEL_C, halves[0].name)))
    update = w.Update(halves[1].id, CREATOR, far, far, 2)
    assert p.counted(lan.a, peer.sends(frame((Action.UPD_C, update)))).get("updated") == 1
    peer.send(frame((Action.DEL_C, halves[1].name)))
    time.sleep(0.02)
    assert not conntrack.entries(lan.a, proto=6)


@pytest.mark.parametrize("first", [IN, OUT], ids=["in", "out"])
def test_a_half_takes_its_translation_along(lan: Lan, peer: Peer, first: int) -> None:
    """It may come back with another one: what is left is that of the other half."""
    connection = CONNECTIONS["TCP, both"]
    halves = [connection.half(way) for way in (IN, OUT)]
    peer.send(frame((Action.INS, *halves)))
    gone, kept = connection.half(first), connection.half(3 - first)
    peer.send(frame((Action.DEL_C, gone.name)))
    time.sleep(0.02)
    (entry,) = conntrack.entries(lan.a, proto=6)
    assert (entry["original"], entry["reply"]) == kept.tuples()
    anew = Connection(
        6, CLIENT_END, PUBLIC if first == OUT else ("203.0.113.2", 81), INSIDE,
        SHARED_END if first == IN else ("192.0.2.2", 61002),
    )  # fmt: skip
    peer.send(frame((Action.INS, anew.half(first, id=b"zzzzzzzz"))))
    time.sleep(0.02)
    (entry,) = conntrack.entries(lan.a, proto=6)
    assert (entry["original"], entry["reply"]) == (anew.original, anew.reply)
    assert p.info(lan.a)["states"] == 1


def test_a_half_that_is_left_of_an_older_connection(lan: Lan, peer: Peer) -> None:
    """Its end was not heard: it makes way, and does not come back."""
    connection = CONNECTIONS["TCP, nat-to"]
    far = w.Peer(seqlo=1 << 30, seqhi=(1 << 30) + 60000, max_win=60000, state=4, wscale=0x80)
    old = connection.half(OUT, src=far, dst=far, creation=50)
    peer.send(frame((Action.INS, old)))
    new = connection.half(IN, id=b"inbound2")
    counted = p.counted(lan.a, peer.sends(frame((Action.INS, new))))
    assert (counted["deleted"], counted["inserted"]) == (1, 1)
    assert p.counted(lan.a, peer.sends(frame((Action.INS, old)))) == {"ipackets": 1}
    anew = connection.half(OUT, id=b"outboun2")
    assert p.counted(lan.a, peer.sends(frame((Action.INS, anew))))["inserted"] == 1
    (entry,) = conntrack.entries(lan.a, proto=6)
    assert (entry["original"], entry["reply"]) == (connection.original, connection.reply)
    assert p.info(lan.a)["states"] == 1


def test_its_other_half_has_no_room(lan: Lan, peer: Peer) -> None:
    """Another connection has the port that it is translated to: it stays as it was, and has
    both names."""
    one = CONNECTIONS["UDP, nat-to"]
    other = Connection(17, ("198.51.100.10", 7000), INSIDE, INSIDE, SHARED_END)
    peer.send(frame((Action.INS, *(one.half(way) for way in (IN, OUT)))))
    inside = other.half(IN, id=b"inbound2")
    peer.send(frame((Action.INS, inside)))
    counted = p.counted(lan.a, peer.sends(frame((Action.INS, other.half(OUT, id=b"outboun2")))))
    assert (counted["conflicts"], counted["inserted"]) == (1, 1)
    entries = {entry["original"]: entry["reply"] for entry in conntrack.entries(lan.a, proto=17)}
    assert entries == {one.original: one.reply, inside.tuples()[0]: inside.tuples()[1]}
    assert p.info(lan.a)["states"] == 2


def test_two_linux_hosts_need_one_name(world: World) -> None:
    pair = Pair(world, rules=NAT)
    with (
        pair.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as inside,
        pair.server.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside,
    ):
        outside.bind((SERVER, 7000))
        for number in itertools.count(8080):
            inside.sendto(b"ping", (SERVER, 7000))
            if number == 8090:
                break
        pair.wait_same(proto=17)
        assert [p.info(host)["states"] for host in pair.hosts] == [1, 1]
        assert p.stats(pair.a)["sent_inserts"] == 1


def test_a_translation_that_packets_have_made(lan: Lan, peer: Peer) -> None:
    """The second half comes when this host has seen packets: it keeps what it has."""
    port = lan.a.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender = lan.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with port, sender:
        port.bind(("", 53))
        sender.bind(("", 1024))
        connection = Connection(
            17, (lan.client.address, 1024), (lan.a.address, 53), (lan.a.address, 53),
            ("192.0.2.1", 4000),
        )  # fmt: skip
        peer.send(frame((Action.INS, connection.half(IN))))
        time.sleep(0.02)
        sender.sendto(b"x", (lan.a.address, 53))
        counted = p.counted(lan.a, peer.sends(frame((Action.INS, connection.half(OUT)))))
        assert counted["conflicts"] == 1
        entry = conntrack.entry(lan.a, original=connection.original)
        assert entry and entry["reply"] == connection.original.inverted()
