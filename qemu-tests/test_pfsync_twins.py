# SPDX-License-Identifier: GPL-2.0
"""Two connections with the same ports, one after the other, of which a peer has missed
something: what is left of the first never harms the second."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from lib import conntrack
from lib import pfsync as p
from lib import pfsync_wire as w
from lib.pair import BE_LIBERAL
from lib.pfsync import CREATOR
from lib.pfsync_wire import Action, Extra, frame
from lib.segments import Connection, made, side
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

FAR = 1 << 28
"""By how much the first connection is ahead of the second: no window is as wide."""


@pytest.fixture
def connection(pfsync: None, world: World) -> Iterator[Connection]:
    with made(world) as connection:
        yield connection


def told(state: w.State, update: bool = False) -> bytes:
    """As Linux tells of it; or of its last change."""
    src, dst = state.src, state.dst
    values = {
        "status": conntrack.STATUS["SEEN_REPLY"] | conntrack.STATUS["ASSURED"],
        "timeout": 4000,
        "tcp": w.TcpLast(3),
        "tcp_original": w.TcpSide(src.seqlo, src.seqhi, src.max_win),
        "tcp_reply": w.TcpSide(dst.seqlo, dst.seqhi, dst.max_win),
    }
    beside = (Action.EXTRA, Extra(state.id, state.creatorid, values))
    if update:
        change = w.Update(state.id, state.creatorid, src, dst, state.timeout)
        return frame(beside, (Action.UPD_C, change))
    return frame(beside, (Action.INS, state))


def name_here(connection: Connection) -> w.Id:
    """What host a calls the connection: it answers who asks for all."""
    linux = Extra(bytes(8), bytes(4))
    connection.peer.send(frame((Action.UPD_REQ, w.EVERYTHING), (Action.EXTRA, linux)))
    received = connection.peer.collect(3)
    states = [state for one in received for state in one.frame.states() if state.proto == 6]
    names = {state.name for state in states}
    connection.peer.send(frame((Action.INS_ACK, *names)))
    (name,) = names
    return name


def goes_on(connection: Connection, start: int = 0) -> None:
    """Either end goes on from there, 60 bytes, and nobody is lenient."""
    for at in (start, start + 20, start + 40):
        assert connection.from_client(at + 20, ack=at)
        assert connection.from_server(at + 20, ack=at + 20)
    assert not connection.from_client(start + FAR), "the windows are its own"


@pytest.mark.parametrize("creator", [CREATOR, b"else"], ids=["same creator", "another one"])
def test_a_copy_makes_way_for_a_new_connection(connection: Connection, creator: bytes) -> None:
    """The host that had the first was cut off when that ended."""
    first = connection.state(FAR, id=b"\0" * 7 + b"\1").but(creation=100)
    second = connection.state(0, id=b"\0" * 7 + b"\2", creator=creator)
    a, peer = connection.pair.a, connection.peer
    assert p.counted(a, peer.sends(told(first)))["inserted"] == 1
    assert p.counted(a, peer.sends(told(second))) == {"ipackets": 1, "deleted": 1, "inserted": 1}
    assert not [one for one in peer.collect(1.2) if one.frame.states()], "a knows better nothing"
    goes_on(connection)
    # and the first does not come back
    counted = p.counted(a, peer.sends(told(first)))
    assert not counted.get("inserted") and not counted.get("updated")
    goes_on(connection, 60)


@pytest.mark.parametrize("ids", ["lesser", "greater"])
@pytest.mark.parametrize("ours", [False, True], ids=["peer's name", "name of before"])
def test_a_peers_copy_does_not_harm_a_new_connection(
    connection: Connection, ids: str, ours: bool
) -> None:
    """The peer was cut off when the first ended, and tells of that again, by whatever name,
    as a whole and by updates."""
    a, peer = connection.pair.a, connection.peer
    connection.begins()
    goes_on(connection)
    name = name_here(connection)
    number = (int.from_bytes(name.id) - 1000).to_bytes(8) if ours else bytes(7) + b"\1"
    creator = name.creatorid if ours else b"\0\0\0\1" if ids == "lesser" else b"\xff" * 4
    if not ours and ids == "greater":
        number = b"\xff" * 8
    time.sleep(3)
    first = connection.state(FAR, number, creator).but(creation=100)
    for i in range(3):
        peer.send(told(first), told(first, update=True))
        goes_on(connection, (1 + i) * 60)
    assert not p.stats(a)["updated"]
    entry = conntrack.entry(a, proto=6)
    assert entry and not any(flags & BE_LIBERAL for flags in entry["flags"])
    assert name_here(connection) == name


def test_both_have_seen_packets_of_one_connection(connection: Connection) -> None:
    """Its numbers are near: both hosts keep the lesser name, each with its own windows."""
    a, peer = connection.pair.a, connection.peer
    connection.begins()
    goes_on(connection)
    theirs = connection.state(5000, bytes(7) + b"\1", b"\0\0\0\1")
    peer.collect(1.5)
    peer.send(told(theirs.but(state_flags=w.ACK)))
    (ours,) = peer.wait(Action.UPD).frame.states()
    assert ours.name == theirs.name and ours.src.seqlo < theirs.src.seqlo
    goes_on(connection, 60)
    assert not p.stats(a)["updated"]
    # by the name that both have, the peer is believed
    later = w.Update(theirs.id, theirs.creatorid, side(1_010_000), side(5_010_000), 2)
    assert p.counted(a, peer.sends(frame((Action.UPD_C, later)))).get("updated") == 1


def test_an_interface_that_was_down(connection: Connection) -> None:
    """It gives new names to what is there; the peer, which has taken over meanwhile, knows
    more by the former one."""
    a, peer = connection.pair.a, connection.peer
    connection.begins()
    goes_on(connection)
    name = name_here(connection)
    a.ip("link", "set", "pfsync0", "down")
    a.ip("link", "set", "pfsync0", "up")
    peer.wait(Action.UPD_REQ)
    later = connection.state(10_000, name.id, name.creatorid).but(creation=5)
    assert p.counted(a, peer.sends(told(later))).get("updated") == 1
    peer.send(p.bulk_frame())
    for at in (10_000, 10_020):
        assert connection.from_client(at + 20, ack=at)
        assert connection.from_server(at + 20, ack=at + 20)


def test_nobody_can_say_which_lives(connection: Connection) -> None:
    """Both hosts have seen packets: this one keeps what it has, and counts."""
    a, peer = connection.pair.a, connection.peer
    connection.begins()
    goes_on(connection)
    other = connection.state(FAR, bytes(7) + b"\1", b"\0\0\0\1")
    assert p.counted(a, peer.sends(told(other)))["conflicts"] == 1
    goes_on(connection, 60)


def test_the_peers_connection_is_the_later_one(connection: Connection) -> None:
    """This host has seen packets of the first, and the peer those of the second."""
    a, peer = connection.pair.a, connection.peer
    connection.begins()
    time.sleep(4)
    later = connection.state(FAR, bytes(7) + b"\1", b"\0\0\0\1")
    assert p.counted(a, peer.sends(told(later))).get("inserted") == 1
    for step in (20, 40):
        assert connection.from_client(FAR + step, ack=FAR + step - 20)
        assert connection.from_server(FAR + step, ack=FAR + step)
    assert not connection.from_client(60)
