# SPDX-License-Identifier: GPL-2.0
"""An interface from its first syncdev to its end, and what it brings upon carp."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from lib import carp as c
from lib import conntrack
from lib import pfsync as p
from lib import pfsync_wire as w
from lib import traffic as t
from lib.clock import SECOND, now, wait_for
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import VIP, Lan
from lib.pfsync import CREATOR, Peer
from lib.pfsync_wire import Action, frame
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

START = p.bulk_frame(w.Bulk.START)
END = p.bulk_frame()
STATE = w.State.of(
    ("192.0.2.1", 1024, "198.51.100.1", 53),
    creatorid=CREATOR, src=w.Peer(state=2), dst=w.Peer(state=2), expire=600,
)  # fmt: skip


def state(number: int, **fields: Any) -> w.State:
    """Another one, with the same values."""
    source = ("192.0.2.1", 2000 + number, "198.51.100.1", 53)
    return w.State.of(source, id=number.to_bytes(8), creatorid=CREATOR, expire=600, **fields)


def demote(host: Host) -> int:
    """How far the group carp is demoted."""
    return int(host.run("carpctl", "-g", "carp").stdout.splitlines()[0].rsplit(" ", 1)[1])


def is_in_group(host: Host, device: str) -> bool:
    return p.GROUP in host.groups(device)


def two_cables(world: World) -> tuple[Host, Host]:
    """Two hosts with eth0 and eth1 between them."""
    a, b = world.make_hosts("a", "b")
    for i in range(2):
        world.cable(a, f"eth{i}", b, f"eth{i}")
    for number, host in ((1, a), (2, b)):
        host.address = f"10.0.0.{number}"
        for i in range(2):
            host.ip_batch(f"link set eth{i} up", f"addr add 10.{i}.0.{number}/24 dev eth{i}")
    return a, b


# -- the syncdev


def test_syncdev_comes_changes_and_goes(world: World) -> None:
    a, b = two_cables(world)
    with Peer(b) as first, Peer(b, "eth1") as second:
        p.create(a, syncdev=None)
        assert (p.bulk(a), demote(a)) == ("down", 0)
        assert not first.receive(5) and not is_in_group(a, "eth0")
        p.change(a, "syncdev eth0")
        assert first.wait(Action.UPD_REQ)
        assert demote(a) == 32 and is_in_group(a, "eth0")
        first.send(END)
        p.wait_bulk(a, timeout=1)
        assert demote(a) == 0
        first.send(frame((Action.INS, STATE)))
        # the other cable: there may be another peer, who is asked; the states stay
        p.change(a, "syncdev eth1")
        assert second.wait(Action.UPD_REQ)
        assert is_in_group(a, "eth1") and not is_in_group(a, "eth0")
        assert p.info(a)["states"] >= 1
        assert p.counted(a, first.sends(frame((Action.DEL_C, STATE.name)))).get("deleted") is None
        assert conntrack.entry(a, original=STATE.tuples()[0])
        second.send(END)
        p.wait_bulk(a, timeout=1)
        assert demote(a) == 0
        p.change(a, "-syncdev")
        assert (p.bulk(a), demote(a), is_in_group(a, "eth1")) == ("down", 0, False)
        second.collect(1)
        assert not second.receive(5)
        p.change(a, "syncdev eth1")
        assert second.wait(Action.UPD_REQ)


def test_syncdev_disappears(world: World) -> None:
    """It is unregistered, or moves to another namespace; another may follow."""
    a, b = two_cables(world)
    p.create(a)
    b.ip("link", "del", "eth0")
    assert (p.bulk(a), demote(a), "syncdev" in p.info(a)) == ("down", 0, False)
    with Peer(b, "eth1") as peer:
        p.change(a, "syncdev eth1")
        assert peer.wait(Action.UPD_REQ)
        peer.send(END)
        p.wait_bulk(a, timeout=1)
        a.ip("link", "set", "eth1", "netns", "b", "name", "moved")
        assert (p.bulk(a), demote(a), "syncdev" in p.info(a)) == ("down", 0, False)


def test_link_loss(lan: Lan) -> None:
    """One more while there is no link; who gets it back asks again and is not demoted
    for that: it may be the one that served meanwhile."""
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        peer.send(frame((Action.INS, STATE)))
        lan.cable_pull(lan.a)
        wait_for(lambda: demote(lan.a) == 1, 2, "a is demoted by one")
        assert p.info(lan.a)["demote"] == 1 and not lan.a.link("pfsync0").carrier
        time.sleep(40)
        assert demote(lan.a) == 1
        peer.collect(0.1)
        lan.cable_plug(lan.a)
        assert peer.wait(Action.UPD_REQ).frame.all(Action.UPD_REQ) == [w.EVERYTHING]
        assert demote(lan.a) == 0
        wait_for(lambda: lan.a.link("pfsync0").carrier, 2, "so has pfsync0")
        assert conntrack.entry(lan.a, original=STATE.tuples()[0]), "it has forgotten nothing"


def test_without_link_from_the_beginning(lan: Lan) -> None:
    lan.a.ip("link", "set", "eth0", "down")
    p.create(lan.a)
    assert (p.bulk(lan.a), demote(lan.a)) == ("no-link", 33)
    time.sleep(29)
    assert demote(lan.a) == 33
    wait_for(lambda: demote(lan.a) == 1, 2, "after 30 s it goes on without peers")
    assert p.bulk(lan.a) == "done"
    with Peer(lan.b) as peer:
        lan.a.ip("link", "set", "eth0", "up")
        peer.wait(Action.UPD_REQ, timeout=3)
        assert demote(lan.a) == 0


# -- the interface


def test_down_up_and_deleted(lan: Lan) -> None:
    """Down it says nothing and hears nothing; up it asks again. The entries stay where
    they are, also when it is deleted, and the demotion does not."""
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        peer.send(frame((Action.INS, STATE)))
        for _ in range(3):
            lan.a.ip("link", "set", "pfsync0", "down")
            assert (p.bulk(lan.a), p.info(lan.a)["states"]) == ("down", 0)
            peer.collect(0.05)
            counted = p.counted(lan.a, peer.sends(frame((Action.DEL_C, STATE.name))))
            assert "deleted" not in counted
            lan.client.run("ping", "-c1", lan.a.address)
            assert not peer.receive(3)
            lan.a.ip("link", "set", "pfsync0", "up")
            assert peer.wait(Action.UPD_REQ)
            assert demote(lan.a) == 32
        assert p.info(lan.a)["states"] >= 1, "what was there before is found again"
        c.create(lan.a)
        assert demote(lan.a) == 32
        lan.a.ip("link", "del", "pfsync0")
        assert demote(lan.a) == 0 and not is_in_group(lan.a, "eth0")
        assert conntrack.entry(lan.a, original=STATE.tuples()[0])
        peer.collect(0.05)
        assert not peer.receive(3)


def test_namespace_goes_while_it_runs(world: World, lan: Lan) -> None:
    """With a bulk update half done, states that wait and packets that are held."""
    for _ in range(3):
        inner = World()
        host = inner.host("x")
        lan.switch.ip_batch(
            "link add x type veth peer name eth0 netns x", "link set x master br0 up"
        )
        host.ip_batch(
            "link set eth0 up", "addr add 10.0.0.50/24 dev eth0", "neigh add 10.0.0.51 lladdr "
            "02:00:00:00:00:51 dev eth0",
        )  # fmt: skip
        with Peer(lan.b) as peer:
            p.create(host, "defer")
            peer.wait(Action.UPD_REQ)
            peer.send(START, frame((Action.INS, STATE.but(state_flags=w.ACK))))
            with host.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                for port in range(50):
                    s.sendto(b"x", ("10.0.0.51", 1000 + port))
            assert p.info(host)["states"] >= 10
        inner.close()


# -- the bulk update, and carp


@pytest.mark.parametrize(("words", "times"), [("", 20), ("bulkwait 0", 12), ("bulkwait 61", 31)])
def test_demoted_until_nobody_answers(lan: Lan, log: Kmsg, words: str, times: int) -> None:
    """It asks every two seconds."""
    capture = lan.b.capture(only="proto 240")
    p.create(lan.a, words)
    begin = now()
    p.wait_bulk(lan.a, timeout=70)
    assert demote(lan.a) == 0
    assert abs(now() - begin - times * 2 * SECOND) < SECOND / 2
    asked = [r.time for r in p.heard(capture.packets()) if r.frame.all(Action.UPD_REQ)]
    assert len(asked) == times
    gaps = [later - earlier for earlier, later in zip(asked, asked[1:], strict=False)]
    assert all(abs(gap - 2 * SECOND) < SECOND / 50 for gap in gaps)
    assert any("no peer answered" in line for line in log.read())
    assert p.stats(lan.a)["bulk_asked"] == times


def test_a_switch_that_blocks_the_port(lan: Lan) -> None:
    """Spanning tree lets nothing through for 30 s after link: a firewall that boots meanwhile,
    and is preferred, does not take over without the states."""
    p.create(lan.b)
    p.wait_bulk(lan.b)
    ends = t.connect(lan.client, lan.b, lan.b.address, 5000)
    lan.hard_cut(lan.a)
    p.create(lan.a)
    time.sleep(30)
    assert (p.bulk(lan.a), demote(lan.a)) == ("asking", 32)
    lan.heal(lan.a)
    # The first that it hears is no answer.
    ends[0].sendall(b"x")
    p.wait_bulk(lan.a, timeout=2.5)
    assert demote(lan.a) == 0 and p.stats(lan.a)["bulk_received"] == 1
    assert conntrack.entry(lan.a, proto=6)
    for end in ends:
        end.close()


def test_a_bulk_update_that_does_not_end(lan: Lan) -> None:
    """It is asked for once more, and then taken as it is."""
    with Peer(lan.b) as peer:
        p.create(lan.a)
        peer.wait(Action.UPD_REQ)
        peer.send(START)
        p.wait_bulk(lan.a, "receiving", 1)
        # as long as something comes, it waits
        for number in range(6):
            time.sleep(5)
            peer.send(frame((Action.UPD, state(number))))
        assert p.bulk(lan.a) == "receiving" and demote(lan.a) == 32
        peer.collect(0.05)
        peer.wait(Action.UPD_REQ, timeout=12)
        peer.send(START)
        p.wait_bulk(lan.a, timeout=20)
        assert demote(lan.a) == 0


def test_takes_over_when_it_has_the_states(lan: Lan) -> None:
    """A firewall that boots, and is preferred, with preempt: it waits for all states."""
    with Peer(lan.b) as peer:
        c.create(lan.b, advskew=100)
        c.wait_state(lan.b, "master")
        lan.a.sysctl("net.inet.carp.preempt", 1)
        p.create(lan.a)
        c.create(lan.a)
        peer.wait(Action.UPD_REQ)
        peer.send(START)
        for number in range(4):
            time.sleep(4)
            peer.send(frame((Action.UPD, state(number, state_flags=w.ACK))))
            peer.wait(Action.INS_ACK)
            assert (c.state(lan.a), c.state(lan.b)) == ("backup", "master")
        peer.send(END)
        begin = time.monotonic()
        c.wait_state(lan.a, "master", 4)
        assert time.monotonic() - begin < 4
        lan.client.run("ping", "-c1", VIP)


def test_the_sync_cable_is_pulled(lan: Lan, world: World) -> None:
    """Both hosts are demoted by it, so the master stays master, and there is one."""
    world.cable(lan.a, "eth1", lan.b, "eth1")
    for host, skew in zip(lan.hosts, (0, 100), strict=True):
        host.ip_batch("link set eth1 up", f"addr add 172.16.0.{1 + skew}/24 dev eth1")
        host.sysctl("net.inet.carp.preempt", 1)
        p.create(host, syncdev="eth1")
        c.create(host, advskew=skew)
    for host in lan.hosts:
        p.wait_bulk(host)
    c.wait_state(lan.a, "master")
    c.wait_state(lan.b, "backup")
    for state, expected in (("down", 1), ("up", 0)):
        lan.b.ip("link", "set", "eth1", state)
        wait_for(lambda e=expected: demote(lan.a) == demote(lan.b) == e, 3, "both notice")
        time.sleep(3)
        states = c.state(lan.a), c.state(lan.b)
        assert sorted(states) == ["backup", "master"]
    assert states == ("master", "backup"), "who is preferred is master again"


def test_names_and_a_second_one(world: World) -> None:
    a, b = two_cables(world)
    p.create(a, name="sync0")
    assert p.bulk(a, "sync0") == "asking"
    a.ip("link", "set", "sync0", "down")
    a.ip("link", "set", "sync0", "name", "pfsync1")
    assert p.info(a, "pfsync1")["syncdev"] == "eth0"
    with pytest.raises(AssertionError, match="pfsync1 is there: one is enough for a namespace"):
        p.create(a, name="pfsync2")
    p.create(b)
    assert p.bulk(b) == "asking", "another namespace has its own"
