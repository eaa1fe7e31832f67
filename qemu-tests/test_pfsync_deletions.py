# SPDX-License-Identifier: GPL-2.0
"""Whose deletions count: not those of a host that has lost the address, nor of one that
does not know that the state is in use."""

from __future__ import annotations

import time

import pytest
from lib import conntrack
from lib import pfsync as p
from lib import traffic as t
from lib.lan import Lan
from lib.pair import SERVER, SERVER6, Datagrams, Pair
from lib.pfsync import Peer
from lib.pfsync_wire import Action, frame
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
    assert not conntrack.entries(pair.a, proto=TCP), "Linux has forgotten it"
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
        flow.send()
        (state,) = peer.wait(Action.INS).frame.states()
        peer.send(frame((Action.INS_ACK, state.name)))
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
