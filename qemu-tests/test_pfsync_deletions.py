# SPDX-License-Identifier: GPL-2.0
"""Whose deletions count: not those of a host that has lost the address, nor of one that
does not know that the state is in use."""

from __future__ import annotations

import time

import pytest
from lib import conntrack
from lib import pfsync as p
from lib import traffic as t
from lib.clock import wait_for
from lib.host import Host
from lib.lan import Lan
from lib.pair import SERVER, SERVER6, Datagrams, Pair
from lib.pfsync import CREATOR, Peer
from lib.pfsync_wire import EVERYTHING, Action, Bulk, Extra, Id, State, frame
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

TCP, UDP = 6, 17
NOTICED = 2.5
"""An entry that is gone is noticed and told of within that."""

MASQUERADE = """
table inet nat {
    chain postrouting {
        type nat hook postrouting priority srcnat
        oifname "eth1" masquerade
    }
}
"""
ADDRESSES = {SERVER: "192.0.2.50/24", SERVER6: "fd02::50/64"}


def own(pair: Pair, server: str) -> str:
    """An address outside that is a's alone, as a master's is; masquerade takes it."""
    address = ADDRESSES[server]
    pair.a.ip_batch(
        "addr del 192.0.2.2/24 dev eth1",
        "addr del fd02::2/64 dev eth1",
        f"addr add {address} dev eth1 nodad",
    )
    return address


def confirmed(peer: Peer, flow: Datagrams) -> State:
    """The state of a new flow, of which the peer was told."""
    flow.send()
    (state,) = peer.wait(Action.INS).frame.states()
    peer.send(frame((Action.INS_ACK, state.name)))
    return state


@pytest.mark.parametrize("server", [SERVER, SERVER6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("how", ["address", "interface"])
def test_masquerade_moves_along(world: World, how: str, server: str) -> None:
    """Linux forgets what was translated to an address that it loses. Who has it now goes on."""
    pair = Pair(world, MASQUERADE)
    address = own(pair, server)
    mine, theirs = t.connect(pair.client, pair.server, server, 5001)
    flow = Datagrams(pair.client, pair.server, server, 5004)
    flow.exchange()
    assert pair.wait_same(proto=TCP)["reply"][2] == address.split("/")[0]
    if how == "address":
        pair.a.ip("addr", "del", address, "dev", "eth1")
    else:
        pair.a.ip("link", "set", "eth1", "down")
    # By a worker of its own.
    wait_for(lambda: not conntrack.entries(pair.a, proto=TCP), 1, "Linux has forgotten it")
    pair.b.ip("addr", "add", address, "dev", "eth1", "nodad")
    pair.server.ip("neigh", "flush", "all")
    time.sleep(NOTICED)
    assert conntrack.entry(pair.b, proto=TCP) and conntrack.entry(pair.b, proto=UDP)
    pair.via(pair.b)
    for one, other in ((mine, theirs), (theirs, mine)):
        one.sendall(b"hello")
        assert other.recv(16) == b"hello"
    known = flow.peer
    flow.exchange()
    assert flow.peer == known


def test_what_was_deleted_by_hand_is_gone_from_both(world: World) -> None:
    """Also if it was masqueraded."""
    pair = Pair(world, MASQUERADE)
    t.connect(pair.client, pair.server, SERVER, 5001)
    pair.wait_same(proto=TCP)
    pair.a.run("conntrack", "-D", "-p", "tcp")
    pair.wait_gone(NOTICED, proto=TCP)


def test_what_is_in_use_stays(lan: Lan) -> None:
    """The peer is told what is here, and may delete what it had the last packet of."""
    flow = Datagrams(lan.client, lan.a, lan.a.address, 5000)
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        state = confirmed(peer, flow)
        deletion = frame((Action.DEL_C, state.name))
        assert p.counted(lan.a, peer.sends(deletion)).get("stale") == 1
        (again,) = peer.wait(Action.UPD).frame.states()
        assert again.name == state.name
        assert conntrack.entry(lan.a, proto=UDP)
        # The peer has seen a packet now.
        peer.send(frame((Action.UPD, again)))
        assert p.counted(lan.a, peer.sends(deletion)).get("deleted") == 1
        assert conntrack.entry(lan.a, proto=UDP) is None
    flow.close()


# -- what was not heard


def ports(host: Host) -> set[int]:
    """The destination ports of the connections that a host has."""
    return {entry["original"][3] for entry in conntrack.entries(host, proto=TCP)}


def one_ends(world: World) -> Pair:
    """Both hosts know of two connections; one is deleted on a, and b does not hear that."""
    pair = Pair(world)
    for port in (5001, 5002):
        t.connect(pair.client, pair.server, SERVER, port)
    wait_for(lambda: ports(pair.b) == {5001, 5002}, 2, "b has both")
    time.sleep(2)
    pair.cut_off()
    pair.a.run("conntrack", "-D", "-p", "tcp", "--dport", "5001")
    time.sleep(6)
    assert (ports(pair.a), ports(pair.b)) == ({5002}, {5001, 5002})
    return pair


def test_a_deletion_that_was_lost(world: World) -> None:
    """The peer hears of it as soon as they hear each other, and not by and by."""
    pair = one_ends(world)
    pair.join()
    wait_for(lambda: ports(pair.b) == {5002}, 3, "b has forgotten it, too")
    assert ports(pair.a) == {5002}


def test_who_asks_does_not_bring_it_back(world: World) -> None:
    """The copy of a connection that this host has deleted goes from the peer, too."""
    pair = one_ends(world)
    for host in pair.hosts:
        host.ip("link", "set", "eth2", "down")
    pair.join()
    for host in pair.hosts:
        host.ip("link", "set", "eth2", "up")
    for host in pair.hosts:
        p.wait_bulk(host)
    wait_for(lambda: (ports(pair.a), ports(pair.b)) == ({5002}, {5002}), 3, "it is gone from both")


def test_a_bulk_update_of_copies_takes_nothing_over(world: World) -> None:
    """b tells a of a's own states, which stay a's: so it is for a to say that they are over."""
    pair = Pair(world)
    t.connect(pair.client, pair.server, SERVER, 5001)
    flow = Datagrams(pair.client, pair.server, SERVER, 5004)
    flow.exchange()
    pair.wait_same(proto=TCP)
    pair.wait_same(proto=UDP)
    time.sleep(2)
    pair.a.ip("link", "set", "eth2", "down")
    pair.a.ip("link", "set", "eth2", "up")
    p.wait_bulk(pair.a)
    time.sleep(1)
    pair.a.run("conntrack", "-F")
    pair.wait_gone(NOTICED, proto=TCP)
    pair.wait_gone(NOTICED, proto=UDP)
    flow.close()


def test_what_the_peer_uses_comes_back(world: World) -> None:
    """A deletion by hand does not count where the connection goes on."""
    pair = Pair(world)
    mine, theirs = t.connect(pair.client, pair.server, SERVER, 5001)
    pair.wait_same(proto=TCP)
    pair.cut_off()
    pair.via(pair.b)
    mine.sendall(b"hello")
    assert theirs.recv(16) == b"hello"
    time.sleep(2)
    pair.a.run("conntrack", "-D", "-p", "tcp")
    time.sleep(4)
    pair.join()
    pair.wait_same(5, proto=TCP)


def test_what_was_handed_over_stays_with_the_peer(world: World) -> None:
    """a has forgotten it with its address, and does not say that it is over."""
    pair = Pair(world, MASQUERADE)
    address = own(pair, SERVER)
    mine, theirs = t.connect(pair.client, pair.server, SERVER, 5001)
    pair.wait_same(proto=TCP)
    pair.a.ip("addr", "del", address, "dev", "eth1")
    pair.b.ip("addr", "add", address, "dev", "eth1", "nodad")
    time.sleep(NOTICED)
    p.change(pair.b, "syncdev none")
    p.change(pair.b, "syncdev eth2")
    p.wait_bulk(pair.b)
    time.sleep(NOTICED)
    assert ports(pair.b) == {5001} and not ports(pair.a)
    # Nor does a refuse to take it back.
    p.change(pair.a, "syncdev none")
    p.change(pair.a, "syncdev eth2")
    p.wait_bulk(pair.a)
    assert ports(pair.a) == {5001}


NAMED, LEFT_OUT, OF_ANOTHER = (
    State.of(("198.51.100.1", 1000 + number, "198.51.100.2", 53), id=bytes([number] * 8), **its)
    for number, its in enumerate(
        ({"creatorid": CREATOR}, {"creatorid": CREATOR}, {"creatorid": b"else"}), 1
    )
)
"""States of two creators: the peer that speaks is the first."""


def said(state: State, action: Action = Action.INS, in_use: int = 0) -> bytes:
    """As Linux tells of it; as of one that it has from another host, or not."""
    extra = Extra(state.id, state.creatorid, {"status": 0x2, "timeout": 600, "in_use": in_use})
    return frame((Action.EXTRA, extra), (action, state))


def update(peer: Peer, *states: State) -> None:
    """A bulk update of these states alone."""
    peer.send(p.bulk_frame(Bulk.START))
    time.sleep(0.1)
    peer.send(*(said(state, Action.UPD) for state in states))
    time.sleep(0.1)
    peer.send(p.bulk_frame())


def asked(received: list[p.Received]) -> list[Id]:
    return [name for one in received for name in one.frame.all(Action.UPD_REQ)]


def known(host: Host) -> set[int]:
    return {entry["original"][1] for entry in conntrack.entries(host, proto=UDP)}


def test_what_a_bulk_update_leaves_out_is_asked_for(lan: Lan) -> None:
    """Of who sends it alone; and it goes only if the peer says so."""
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        peer.send(said(NAMED), said(LEFT_OUT), said(OF_ANOTHER))
        wait_for(lambda: len(known(lan.a)) == 3, 1, "a has all")
        peer.collect(0.1)
        update(peer, NAMED)
        assert asked(peer.collect(4)) == [LEFT_OUT.name] * 3, "as long as nobody answers"
        assert len(known(lan.a)) == 3
        # A START that comes with END says nothing of what was named.
        peer.send(p.bulk_frame())
        assert asked(peer.collect(2)) == []
        update(peer, NAMED)
        peer.wait(Action.UPD_REQ)
        peer.send(said(LEFT_OUT, Action.UPD))
        assert asked(peer.collect(3)) == []
        update(peer, NAMED)
        peer.wait(Action.UPD_REQ)
        peer.send(frame((Action.DEL_C, LEFT_OUT.name)))
        assert asked(peer.collect(3)) == []
        assert known(lan.a) == {1001, 1003}


def test_what_is_over_is_said_to_be(lan: Lan) -> None:
    """To who asks for it, and to who has a copy; not if that is in use, nor of names that
    were given by others."""
    flow = Datagrams(lan.client, lan.a, lan.a.address, 5000)
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        state = confirmed(peer, flow)
        lan.a.run("conntrack", "-D", "-p", "udp")
        peer.wait(Action.DEL_C)
        peer.collect(3)  # it is said several times
        request = peer.sends(frame((Action.UPD_REQ, state.name)))
        assert "badstate" not in p.counted(lan.a, request)
        peer.wait(Action.DEL_C)
        for name in (Id(b"\xff" * 8, state.creatorid), Id(state.id, b"else")):
            refused = p.counted(lan.a, peer.sends(frame((Action.UPD_REQ, name))))
            assert refused["badstate"] == 1
        assert not [one for one in peer.collect(0.5) if Action.DEL_C in one.frame.actions]
        peer.send(said(state, Action.UPD))
        peer.wait(Action.DEL_C)
        assert conntrack.entry(lan.a, proto=UDP) is None
        peer.send(said(state, Action.UPD, in_use=1))
        wait_for(lambda: conntrack.entry(lan.a, proto=UDP), 1, "it is taken back")
    flow.close()


def test_a_state_that_was_taken_over_says_so(lan: Lan) -> None:
    """With the first packet here, it is no copy any more."""
    flow = Datagrams(lan.client, lan.a, lan.a.address, 5000)
    port = flow.client.getsockname()[1]
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        state = State.of(
            (lan.client.address, port, lan.a.address, 5000), creatorid=CREATOR, direction=1
        )
        peer.send(said(state))
        wait_for(lambda: conntrack.entry(lan.a, proto=UDP), 1, "a has it")
        greeting = (Action.EXTRA, Extra(bytes(8), bytes(4)))
        for in_use in (0, 1):
            peer.collect(0.1)
            peer.send(frame((Action.UPD_REQ, EVERYTHING), greeting))
            received = peer.collect(3)
            extras = [extra for one in received for extra in one.frame.all(Action.EXTRA)]
            marked = [extra.values["in_use"] for extra in extras if extra.name == state.name]
            assert marked and set(marked) == {in_use}
            peer.send(frame((Action.INS_ACK, state.name)))
            flow.send()
    flow.close()
