# SPDX-License-Identifier: GPL-2.0
"""States among Linux hosts, in their own form: 100 bytes of TCP with its windows, 70 of
others; and pf's form as soon as somebody is there who reads no other."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from lib import conntrack
from lib import pfsync as p
from lib.clock import wait_for
from lib.host import Host
from lib.lan import Lan
from lib.pair import Datagrams
from lib.pfsync import CREATOR, Peer
from lib.pfsync_wire import (
    EVERYTHING,
    GREETING,
    Action,
    Bulk,
    Compact,
    Confirmation,
    Extra,
    FrameNumber,
    State,
    TcpLast,
    TcpSide,
    Tuple,
    frame,
)
from lib.router import Router
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

TCP, UDP, SCTP = 6, 17, 132
SEEN_REPLY, ASSURED = 2, 4
ESTABLISHED = 3
STATES = (Action.INS, Action.UPD, Action.UPD_C, Action.COMPACT)
GREETS = (Action.EXTRA, GREETING)
OLD_GREETING = (Action.EXTRA, Extra(bytes(8), bytes(4)))
ASK = (Action.UPD_REQ, EVERYTHING)
FLOW = Tuple("192.0.2.1", 2048, "198.51.100.1", 80)


@pytest.fixture
def peer(lan: Lan) -> Iterator[Peer]:
    """b, with which a's pfsync0 has met, and which has greeted."""
    with Peer(lan.b) as peer:
        bulk = ((Action.BUS, Bulk(CREATOR, kind)) for kind in (Bulk.START, Bulk.END))
        p.meet(lan.a, peer, answer=frame(*bulk, GREETS))
        yield peer


def actions(frames: list[p.Received]) -> set[int]:
    """In which forms states were told of."""
    return {action for one in frames for action in one.frame.actions if action in STATES}


def compact(frames: list[p.Received], proto: int) -> list[Compact]:
    told = [state for one in frames for state in one.frame.all(Action.COMPACT)]
    return [state for state in told if state.proto == proto]


@contextmanager
def connected(client: Host, server: Host, port: int = 5001) -> Iterator[socket.socket]:
    """A TCP connection on which something was said, and answered."""
    listener = server.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((server.address, port))
    listener.listen()
    one = client.socket(socket.AF_INET, socket.SOCK_STREAM)
    one.settimeout(5)
    one.connect((server.address, port))
    other, _ = listener.accept()
    for here, there in ((one, other), (other, one)):
        here.sendall(b"x" * 100)
        assert there.recv(100) == b"x" * 100
    yield one
    for s in (one, other, listener):
        s.close()


def test_who_greets_is_told_in_short(lan: Lan, peer: Peer) -> None:
    """Of what is there, and of what comes; with all that conntrack knows."""
    with connected(lan.client, lan.a) as first:
        port = first.getsockname()[1]
        peer.collect(1.5)
        peer.send(frame(ASK, GREETS))
        frames = peer.collect(1)
        assert actions(frames) == {Action.COMPACT}
        [state] = {state.original: state for state in compact(frames, TCP)}.values()
        assert state.original == (lan.client.address, port, lan.a.address, 5001)
        assert state.reply == state.original.inverted()
        assert state.in_use and state.confirm
        assert state.status & (SEEN_REPLY | ASSURED) == SEEN_REPLY | ASSURED
        entry = conntrack.entry(lan.a, proto=TCP)
        assert entry and abs(state.timeout - entry["timeout"]) <= 2
        assert state.tcp
        last, (ours, theirs) = state.tcp
        assert last.state == ESTABLISHED and ours.maxwin and theirs.maxwin
        # What the one has sent, the other has acknowledged.
        assert ours.end == theirs.maxack and theirs.end == ours.maxack
        peer.send(frame((Action.INS_ACK, state.name)))
        flow = Datagrams(lan.client, lan.a, lan.a.address, 5000)
        flow.send()
        frames = peer.collect(1.5)
        assert actions(frames) == {Action.COMPACT}
        assert [told.in_use for told in compact(frames, UDP)]
        flow.close()


@pytest.mark.parametrize("who", ["older Linux", "pf", "pf, by a state", "nobody knows"])
def test_pfs_form_for_who_reads_no_other(lan: Lan, peer: Peer, who: str) -> None:
    """Though another Linux host has greeted before."""
    flow = Datagrams(lan.client, lan.a, lan.a.address, 5000)
    flow.send()
    peer.send(frame(ASK, GREETS))
    assert actions(peer.collect(1)) == {Action.COMPACT}
    if who == "older Linux":
        peer.send(frame(ASK, OLD_GREETING))
    elif who == "pf":
        peer.send(frame(ASK))
    elif who == "nobody knows":
        # Linux would greet; pf may have no state by which it could be told.
        peer.send(p.bulk_frame())
        flow.close()
        flow = Datagrams(lan.client, lan.a, lan.a.address, 5000)
        flow.send()
    else:
        lan.b.ip("addr", "add", "10.0.0.77/24", "dev", "eth0")
        state = State.of(FLOW, creatorid=CREATOR, proto=UDP)
        peer.send(frame((Action.INS, state)), source="10.0.0.77")
        peer.send(frame(ASK, GREETS))
    frames = peer.collect(2)
    assert {Action.INS, Action.UPD} & actions(frames)
    assert Action.COMPACT not in actions(frames)
    assert any(one.frame.all(Action.EXTRA) for one in frames)
    flow.close()


def tcp(**fields: Any) -> Compact:
    """A connection, translated on both sides, with all that may stand beside it."""
    sides = (TcpSide(1000, 65000, 64000, 2000, 7, 0x23), TcpSide(2000, 9000, 8000, 1000, 3, 0x23))
    values: dict[str, Any] = {
        "reply": Tuple("10.9.9.9", 8080, "203.0.113.9", 61000),
        "status": SEEN_REPLY | ASSURED, "timeout": 3000, "age": 77,
        "tcp": (TcpLast(ESTABLISHED, 1, kind=2, window=512, seq=1990, ack=1000, end=2000), sides),
        "values": {"mark": 0x77}, "confirm": True,
        **fields,
    }  # fmt: skip
    return Compact(b"tcptcptc", CREATOR, FLOW, TCP, **values)


def test_a_state_becomes_an_entry(lan: Lan, peer: Peer) -> None:
    """With translation and mark; it is confirmed, and whoever is asked for it tells of it in
    the same form, with the same numbers."""
    state = tcp()
    counted = p.counted(lan.a, peer.sends(frame((Action.COMPACT, state))))
    assert counted.pop("ipackets") == 1 and counted.pop("inserted") == 1
    assert set(counted) <= {"opackets", "sent_acks"}
    entry = conntrack.entry(lan.a, original=FLOW)
    assert entry and entry["mark"] == 0x77 and 2990 <= entry["timeout"] <= 3000
    assert conntrack.has(entry, "ASSURED", "SRC_NAT", "DST_NAT")
    assert entry["reply"] == state.reply
    assert peer.wait(Action.INS_ACK).frame.all(Action.INS_ACK) == [state.name]
    peer.send(frame((Action.UPD_REQ, state.name)))
    [told] = compact(peer.collect(0.3), TCP)
    assert told.tcp == state.tcp and not told.in_use and 77 <= told.age <= 80
    assert (told.original, told.reply, told.values) == (FLOW, state.reply, state.values)


def test_an_update_is_taken_and_an_old_one_is_not(lan: Lan, peer: Peer) -> None:
    state = tcp()
    assert state.tcp
    last, sides = state.tcp
    peer.send(frame((Action.COMPACT, state)))
    closing = last._replace(state=4)
    later = tcp(tcp=(closing, sides), timeout=120, values={"mark": 0x78})
    peer.send(frame((Action.COMPACT, later)))
    wait_for(lambda: (conntrack.entry(lan.a, original=FLOW) or {}).get("mark") == 0x78, 1, "taken")
    entry = conntrack.entry(lan.a, original=FLOW)
    assert entry and entry["timeout"] <= 120
    before = p.stats(lan.a)["stale"]
    peer.send(frame((Action.COMPACT, state)))
    wait_for(lambda: p.stats(lan.a)["stale"] > before, 1, "counted as stale")
    entry = conntrack.entry(lan.a, original=FLOW)
    assert entry and entry["mark"] == 0x78


def test_an_update_of_what_is_not_known_needs_no_question(lan: Lan, peer: Peer) -> None:
    """All is there. UPD_C has to be asked about."""
    peer.send(frame((Action.COMPACT, tcp(confirm=False))))
    wait_for(lambda: conntrack.entry(lan.a, original=FLOW), 1, "a has it")
    assert Action.UPD_REQ not in {a for one in peer.collect(1) for a in one.frame.actions}


@pytest.mark.parametrize(
    ("counter", "change"),
    [
        ("badval", lambda data: data[:12] + b"\xc2" + data[13:]),
        ("badval", lambda data: data[:48] + b"\x0a" + data[49:]),
        ("badlen", lambda data: data[:56]),
        ("badlen", lambda data: data + b"\x04\x09\0\0"),
        ("badstate", lambda data: data[:8] + bytes(4) + data[12:]),
    ],
    ids=["direction", "state", "cut", "attribute", "creator"],
)
def test_what_means_nothing_is_dropped(
    lan: Lan, peer: Peer, counter: str, change: Callable[[bytes], bytes]
) -> None:
    """And the next one is taken."""
    bad = change(tcp().pack())
    good = Compact(b"udpudpud", CREATOR, FLOW, UDP, timeout=30)
    counted = p.counted(lan.a, peer.sends(frame((Action.COMPACT, bad), (Action.COMPACT, good))))
    assert counted[counter] == 1 and counted["inserted"] == 1


def arrived(frames: list[p.Received]) -> list[Confirmation]:
    return [it for one in frames for it in one.frame.all(Action.ARRIVED)]


def numbered(frames: list[p.Received]) -> dict[int, list[Compact]]:
    """By number of the frame: what it told."""
    return {
        number.number: one.frame.all(Action.COMPACT)
        for one in frames
        for number in one.frame.all(Action.NUMBER)
        if one.frame.all(Action.COMPACT)
    }


def several(count: int, **fields: Any) -> list[Compact]:
    return [
        Compact(
            b"udpudp%02d" % i, CREATOR, FLOW._replace(sport=3000 + i), UDP, timeout=30, **fields
        )
        for i in range(count)
    ]


def test_a_frame_is_confirmed_as_a_whole(lan: Lan, peer: Peer) -> None:
    """What cannot be taken is not; what is said again is confirmed again."""
    bad = Compact(b"udpudpud", bytes(4), FLOW, UDP, timeout=30)
    good = several(20, confirm=True)
    states = [*good[:10], bad, *good[10:]]
    for inserted in (20, 0):
        before = p.stats(lan.a)
        sections = ((Action.NUMBER, FrameNumber(CREATOR, 7)), (Action.COMPACT, *states))
        peer.send(frame(*sections))
        frames = peer.collect(0.5)
        here = frozenset(range(21)) - {10}
        assert arrived(frames) == [Confirmation(CREATOR, 7, here)]
        assert not any(one.frame.all(Action.INS_ACK) for one in frames)
        after = p.stats(lan.a)
        counted = {name: after[name] - before[name] for name in ("inserted", "sent_acks")}
        assert counted == {"inserted": inserted, "sent_acks": 20}


def test_a_number_without_states_is_not_confirmed(lan: Lan, peer: Peer) -> None:
    peer.send(frame((Action.NUMBER, FrameNumber(CREATOR, 8)), (Action.DEL_C, tcp().name)))
    assert not arrived(peer.collect(0.5))


def test_what_has_not_arrived_is_sent_again(lan: Lan, peer: Peer) -> None:
    """Nothing else is. Another host's numbers mean nothing, nor do those of frames that are
    not known any more."""

    def confirm(creatorid: bytes, number: int, places: range) -> None:
        confirmation = Confirmation(creatorid, number, frozenset(places))
        peer.send(frame((Action.ARRIVED, confirmation)))

    conntrack.restore(lan.a, 40)
    peer.send(frame(ASK, GREETS))
    frames = peer.collect(0.4)
    creator = next(iter(compact(frames, UDP))).creatorid
    first = numbered(frames)
    for number in first:
        confirm(CREATOR, number, range(32))
        confirm(creator, number + 1024, range(32))
    second = numbered(peer.collect(0.45))
    missing = {states[0].id for states in second.values()}
    for number, states in second.items():
        confirm(creator, number, range(1, len(states)))
    third = numbered(peer.collect(0.45))
    acknowledged = p.stats(lan.a)["acknowledged"]
    # What is late is as good, and nothing is confirmed twice.
    for number, states in second.items():
        confirm(creator, number, range(len(states)))
    peer.collect(0.1)
    acknowledged = p.stats(lan.a)["acknowledged"] - acknowledged
    told = [sum(map(len, frames.values())) for frames in (first, second, third)]
    assert told == [40, 40, len(missing)] and acknowledged == len(missing)
    assert {state.id for states in third.values() for state in states} == missing
    assert not first.keys() & second.keys() and not second.keys() & third.keys()


@pytest.mark.parametrize("hosts", [1, 2])
def test_a_change_is_confirmed_with_its_frame(lan: Lan, peer: Peer, hosts: int) -> None:
    """By who is alone. Otherwise it is told once more when the connection is idle, for
    another host may have missed it."""
    if hosts > 1:
        lan.b.ip("addr", "add", "10.0.0.77/24", "dev", "eth0")
        peer.send(frame(GREETS), source="10.0.0.77")
    flow = Datagrams(lan.client, lan.a, lan.a.address, 5000)
    told = []
    deadline = time.monotonic() + 8
    flow.send()
    while time.monotonic() < deadline:
        frames = peer.collect(0.2)
        for number, states in numbered(frames).items():
            told += [state for state in states if state.proto == UDP]
            here = frozenset(range(len(states)))
            creator = states[0].creatorid
            peer.send(frame((Action.ARRIVED, Confirmation(creator, number, here))))
        if len(told) == 1:
            flow.send()
    flow.close()
    # The new one, and its change; and that once more.
    assert [state.confirm for state in told] == [True, False, True][: 1 + hosts]


@pytest.mark.parametrize(("proto", "most"), [("tcp", 100), ("udp", 70)])
def test_two_hosts_need_few_bytes(pfsync: None, world: World, proto: str, most: int) -> None:
    """For each of many states of a bulk update, with confirmations and all headers."""
    count = 1000
    router = Router(world)
    if proto == "tcp":
        router.connect(0, count)
    else:
        conntrack.restore(router.a, count)
    p.create(router.a, syncdev="eth2")
    p.wait_bulk(router.a)
    before = router.wire_bytes()
    p.create(router.b, syncdev="eth2")
    wait_for(lambda: router.count(router.b) >= count, 20, "all came")
    p.wait_bulk(router.b)
    time.sleep(1)
    each = (router.wire_bytes() - before) / count
    print(f"{proto}: {each:.1f} bytes a state")
    assert each < most
