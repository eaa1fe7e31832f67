# SPDX-License-Identifier: GPL-2.0
"""The state table: walks through it find what no packet has told of, and what has expired
is in nobody's way."""

from __future__ import annotations

import time

import pytest
from lib import conntrack
from lib import pfsync as p
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import Lan
from lib.pair import Pair
from lib.pfsync import CREATOR, Peer
from lib.pfsync_wire import EVERYTHING, Action, Bulk, Extra, State, frame
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

MANY = 5000
"""More than are looked at in four seconds when nobody asks."""


def test_a_full_update_has_what_no_packet_has_told_of(world: World) -> None:
    pair = Pair(world, start=False)
    p.create(pair.a, syncdev="eth2")
    p.wait_bulk(pair.a)
    conntrack.restore(pair.a, MANY)
    assert conntrack.count(pair.a) >= MANY > p.info(pair.a)["states"]
    p.create(pair.b, syncdev="eth2")
    p.wait_bulk(pair.b)
    # "done" is true at that moment
    assert conntrack.count(pair.b) >= MANY
    assert p.stats(pair.b)["bulk_received"] == 1


def test_start_comes_before_the_table_was_walked(lan: Lan) -> None:
    """Of several peers the first one counts: not the one with the smallest table."""
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        conntrack.restore(lan.a, MANY)
        peer.collect(0)
        peer.send(frame((Action.UPD_REQ, EVERYTHING)))
        first = peer.wait(Action.BUS, Action.UPD)
        assert [m.status for m in first.frame.all(Action.BUS)] == [Bulk.START]
        assert not first.frame.states()


def test_who_is_asking_itself_lets_others_begin_first(lan: Lan) -> None:
    with Peer(lan.b) as peer:
        p.create(lan.a)
        peer.wait(Action.UPD_REQ)
        begun = time.monotonic()
        peer.send(frame((Action.UPD_REQ, EVERYTHING)))
        peer.wait(Action.BUS)
        assert 0.5 <= time.monotonic() - begun < 0.6


def put(host: Host, source: str, port: int, seconds: int) -> None:
    """An entry of the table, translated to one address and port."""
    host.run(
        "conntrack", "-I", "-p", "udp", "-t", str(seconds), "-s", source, "-d", "192.0.2.9",
        "--sport", str(port), "--dport", "53", "-r", "192.0.2.9", "-q", "203.0.113.1",
        "--reply-port-src", "53", "--reply-port-dst", "4000",
    )  # fmt: skip


ORIGINAL, REPLY = ("10.9.0.1", 1024, "192.0.2.9", 53), ("192.0.2.9", 53, "203.0.113.1", 4000)


def tell(original: tuple, reply: tuple, number: int = 1) -> bytes:
    """As a Linux host tells of a state."""
    state = State.of(original, reply, id=number.to_bytes(8), creatorid=CREATOR, expire=600)
    return frame((Action.EXTRA, Extra(state.id, CREATOR, {"timeout": 600})), (Action.INS, state))


@pytest.mark.parametrize("old", [("10.9.0.1", 1024), ("10.9.0.2", 1025)], ids=["original", "reply"])
def test_an_expired_entry_is_in_nobodys_way(lan: Lan, old: tuple[str, int]) -> None:
    """It stays in the table until somebody comes by, which may take minutes."""
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        put(lan.a, *old, 1)
        time.sleep(1.5)
        assert int(lan.a.sysctl("net.netfilter.nf_conntrack_count")) == 1
        assert p.counted(lan.a, peer.sends(tell(ORIGINAL, REPLY))).get("inserted") == 1
        entry = conntrack.entry(lan.a, original=ORIGINAL)
        assert entry and entry["reply"] == REPLY


def test_translations_that_do_not_go_together(lan: Lan, log: Kmsg) -> None:
    """One connection that two hosts translate differently, and two to one port: both are told
    of, and nothing is merged."""
    other = ("10.9.0.2", 1025, "192.0.2.9", 53)
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        put(lan.a, *ORIGINAL[:2], 600)
        before = conntrack.entry(lan.a, original=ORIGINAL)
        elsewhere = (*REPLY[:3], 4001)
        for told, said in (
            (tell(ORIGINAL, elsewhere), "and this host by 192.0.2.9:53 to 203.0.113.1:4000"),
            (tell(other, REPLY), "which is another connection's here"),
        ):
            counted = p.counted(lan.a, peer.sends(told))
            assert counted == {"ipackets": 1, "conflicts": 1}
            assert any(said in line for line in log.read())
        after = conntrack.entry(lan.a, original=ORIGINAL)
        assert before and after and (after["reply"], after["id"]) == (REPLY, before["id"])
        assert conntrack.entry(lan.a, original=other) is None
        # what goes together is one connection
        assert p.counted(lan.a, peer.sends(tell(ORIGINAL, REPLY))).get("updated") == 1


def test_a_copy_makes_way_for_another_translation(lan: Lan) -> None:
    """The host whose connection it was has begun it anew, by another address."""
    elsewhere = (*REPLY[:3], 4001)
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        assert p.counted(lan.a, peer.sends(tell(ORIGINAL, REPLY))).get("inserted") == 1
        anew = tell(ORIGINAL, elsewhere, 2)
        assert p.counted(lan.a, peer.sends(anew)).get("inserted") == 1
        entry = conntrack.entry(lan.a, original=ORIGINAL)
        assert entry and entry["reply"] == elsewhere
        # or another connection has its port
        other = ("10.9.0.2", 1025, "192.0.2.9", 53)
        assert p.counted(lan.a, peer.sends(tell(other, elsewhere, 3))).get("inserted") == 1
        entry = conntrack.entry(lan.a, original=other)
        assert entry and entry["reply"] == elsewhere
        assert conntrack.entry(lan.a, original=ORIGINAL) is None
        # which the older one does not get back
        assert p.counted(lan.a, peer.sends(tell(ORIGINAL, elsewhere, 2)))["conflicts"] == 1
