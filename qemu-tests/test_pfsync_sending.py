# SPDX-License-Identifier: GPL-2.0
"""What an interface says, how and when: as its peer hears it, by packet timestamps."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from lib import conntrack
from lib import pfsync as p
from lib import pfsync_wire as w
from lib import traffic as t
from lib.clock import MILLISECOND, SECOND, now, wait_for
from lib.lan import Lan
from lib.pfsync import CREATOR, Peer, Received
from lib.pfsync_wire import Action, frame

pytestmark = pytest.mark.usefixtures("pfsync")

PORT = 5000
NEXT_TICK = 20 * MILLISECOND
"""What "at once" is: the test's own work is in it."""


@pytest.fixture
def peer(lan: Lan) -> Iterator[Peer]:
    """b, with which a's pfsync0 has met."""
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        yield peer


class Flows:
    """Datagrams from the client to a: a state for each number."""

    def __init__(self, lan: Lan) -> None:
        self.to = (lan.a.address, PORT)
        self.client = lan.client
        self.sink = lan.a.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sink.bind(("", PORT))
        self.sockets: dict[int, socket.socket] = {}

    def send(self, *numbers: int) -> int:
        """One datagram of each of these; returns when."""
        begin = now()
        for number in numbers:
            if number not in self.sockets:
                s = self.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.bind(("", 20000 + number))
                self.sockets[number] = s
            self.sockets[number].sendto(b"x", self.to)
        return begin

    def close(self) -> None:
        for s in (self.sink, *self.sockets.values()):
            s.close()


@pytest.fixture
def flows(lan: Lan, peer: Peer) -> Iterator[Flows]:
    with contextlib.closing(Flows(lan)) as flows:
        yield flows


def number_of(state: w.State) -> int:
    return state.tuples()[0].sport - 20000


def numbers(*frames: Received) -> list[int]:
    return [number_of(state) for received in frames for state in received.frame.states()]


def confirm(peer: Peer, *frames: Received) -> None:
    names = [state.name for received in frames for state in received.frame.states()]
    peer.send(frame((Action.INS_ACK, *names)))


def learn(peer: Peer, flows: Flows, *flow_numbers: int) -> dict[int, w.State]:
    """Sends datagrams, hears of them and confirms; the states by number."""
    flows.send(*flow_numbers)
    known: dict[int, w.State] = {}
    while set(flow_numbers) - set(known):
        received = peer.wait(Action.INS)
        known |= {number_of(state): state for state in received.frame.states()}
        confirm(peer, received)
    return known


def actions(received: Received) -> list[int]:
    """Those of the protocol itself."""
    return [action for action in received.frame.actions if action < Action.EXTRA]


# -- when


def test_within_a_second_and_together(peer: Peer, flows: Flows) -> None:
    """What comes up during a second leaves in one frame at its end."""
    begin = flows.send(1)
    time.sleep(0.4)
    flows.send(2)
    received = peer.wait(Action.INS)
    assert SECOND - MILLISECOND <= received.time - begin <= SECOND + NEXT_TICK
    assert numbers(received) == [1, 2]
    assert set(actions(received)) == {Action.INS}
    confirm(peer, received)
    # many updates are one
    begin = flows.send(*[1] * 50)
    received = peer.wait(Action.UPD_C)
    assert SECOND - MILLISECOND <= received.time - begin <= SECOND + NEXT_TICK
    (update,) = received.frame.all(Action.UPD_C)
    assert update.creatorid != bytes(4)
    assert peer.collect(3) == []


def test_at_once_when_a_frame_is_full(peer: Peer, flows: Flows) -> None:
    begin = flows.send(*range(10))
    first = peer.wait(Action.INS)
    assert first.time - begin < NEXT_TICK
    assert len(numbers(first)) >= 3
    confirm(peer, first)
    rest = []
    while len(numbers(first, *rest)) < 10:
        rest.append(peer.wait(Action.INS))
        confirm(peer, rest[-1])
    assert sorted(numbers(first, *rest)) == list(range(10)), "each once"
    assert rest[-1].time - begin >= SECOND - NEXT_TICK, "what does not fill a frame waits"


def test_the_order_in_a_frame(lan: Lan, peer: Peer, flows: Flows) -> None:
    """INS_ACK, UPD_C, DEL_C, INS, UPD."""
    known = learn(peer, flows, 1, 2, 3)
    lan.a.run("conntrack", "-D", "-p", "udp", "--sport", "20002")
    wait_for(lambda: p.info(lan.a)["queued"] == 1, 1.1, "it is noticed", interval=0.02)
    flows.send(1, 4)
    theirs = w.State.of(
        ("192.0.2.1", 1, "192.0.2.2", 2), creatorid=CREATOR, src=w.Peer(state=1),
        state_flags=w.ACK,
    )  # fmt: skip
    begin = now()
    peer.send(frame((Action.INS, theirs), (Action.UPD_REQ, known[3].name)))
    received = peer.wait(Action.INS_ACK)
    assert received.time - begin < NEXT_TICK
    order = [Action.INS_ACK, Action.UPD_C, Action.DEL_C, Action.INS, Action.UPD]
    assert actions(received) == order
    assert received.frame.all(Action.INS_ACK) == [theirs.name]
    assert received.frame.all(Action.UPD_C)[0].name == known[1].name
    assert received.frame.all(Action.DEL_C) == [known[2].name]
    assert [number_of(s) for s in received.frame.all(Action.INS)] == [4]
    assert [number_of(s) for s in received.frame.all(Action.UPD)] == [3]


def test_inserted_and_deleted_before_it_was_sent(lan: Lan, peer: Peer, flows: Flows) -> None:
    # just after a round that looks for what is gone, so that the next one comes first
    learn(peer, flows, 1)
    lan.a.run("conntrack", "-F")
    peer.wait(Action.DEL_C)
    begin = flows.send(2)
    lan.a.run("conntrack", "-F")
    assert now() - begin < 50 * MILLISECOND
    frames = peer.collect(4)
    assert not numbers(*frames)
    assert len({name for f in frames for name in f.frame.all(Action.DEL_C)}) <= 1


def test_both_ends_active(lan: Lan, peer: Peer, flows: Flows) -> None:
    """A state of which a peer told less than two seconds ago is told back at once."""
    source = (lan.client.address, 20001, lan.a.address, PORT)
    state = w.State.of(source, creatorid=CREATOR, src=w.Peer(state=1))
    peer.send(frame((Action.INS, state)))
    time.sleep(1.5)
    begin = flows.send(1)
    received = peer.wait(Action.UPD_C)
    assert received.time - begin < NEXT_TICK
    assert received.frame.all(Action.UPD_C)[0].name == state.name
    time.sleep(2.1)
    begin = flows.send(1)
    assert peer.wait(Action.UPD_C).time - begin >= SECOND - MILLISECOND


def test_maxupd(lan: Lan, peer: Peer) -> None:
    """So many updates of a TCP state are one message; the next one sends it. Also when
    that is changed while states are there."""
    mine, theirs = t.connect(lan.client, lan.a, lan.a.address, PORT)
    mine.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def quiet() -> None:
        """Until nothing is to be said of it any more."""
        while frames := peer.collect(2.5):
            confirm(peer, *frames)

    def segments(count: int) -> int:
        """So many there; the answers are about as many."""
        begin = now()
        for _ in range(count):
            mine.send(b"x")
            assert theirs.recv(1)
        return peer.wait(Action.UPD_C).time - begin

    quiet()
    assert segments(20) >= SECOND - MILLISECOND, "128 are not reached"
    quiet()
    assert segments(140) < SECOND / 2
    quiet()
    p.change(lan.a, "maxupd 10")
    assert segments(20) < SECOND / 2
    quiet()
    assert segments(2) >= SECOND - MILLISECOND
    p.change(lan.a, "-maxupd")
    quiet()
    assert segments(20) >= SECOND - MILLISECOND
    mine.close()
    theirs.close()


# -- again, for want of a confirmation


def test_repeated_until_given_up(lan: Lan, peer: Peer, flows: Flows) -> None:
    """Ten times in all, each half a second after the other, then nobody is there."""
    before = p.stats(lan.a)
    flows.send(1)
    frames = [f for f in peer.collect(8) if numbers(f)]
    assert len(frames) == 10
    assert actions(frames[0]) == [Action.INS]
    for earlier, later in zip(frames, frames[1:], strict=False):
        assert actions(later) == [Action.UPD]
        assert abs(later.time - earlier.time - SECOND / 2) < NEXT_TICK
    assert all(state.state_flags & w.ACK for f in frames for state in f.frame.states())
    after = p.stats(lan.a)
    assert (after["repeated"] - before["repeated"], after["unanswered"]) == (9, 1)
    shown = p.info(lan.a)
    assert (shown["queued"], shown["unconfirmed"]) == (0, 0)
    # the next change is told all the same
    flows.send(1)
    assert peer.wait(Action.UPD_C)


def test_confirmed_once_is_enough(lan: Lan, peer: Peer, flows: Flows) -> None:
    flows.send(1)
    (received,) = (f for f in peer.collect(1.2) if numbers(f))
    assert p.info(lan.a)["unconfirmed"] == 1
    confirm(peer, received)
    assert peer.collect(3) == []
    assert p.info(lan.a)["unconfirmed"] == 0
    assert (p.stats(lan.a)["acknowledged"], p.stats(lan.a)["repeated"]) == (1, 0)


def test_deleted_is_said_three_times(lan: Lan, peer: Peer, flows: Flows) -> None:
    """For nobody confirms that."""
    known = learn(peer, flows, 1)
    begin = now()
    lan.a.run("conntrack", "-D", "-p", "udp")
    frames = peer.collect(6)
    assert [actions(received) for received in frames] == [[Action.DEL_C]] * 3
    assert [name for f in frames for name in f.frame.all(Action.DEL_C)] == [known[1].name] * 3
    # noticed within a second, and then as all that changes
    assert frames[0].time - begin <= 2 * SECOND + NEXT_TICK


def test_a_peer_that_confirms_nothing(lan: Lan, peer: Peer, flows: Flows) -> None:
    """OpenBSD does not, where it knows a state: it gets its bulk update to the end, and is
    not told of idle states over and over."""
    learn(peer, flows, *range(40))
    peer.send(frame((Action.UPD_REQ, w.EVERYTHING)))
    begin = now()
    told: set[int] = set()
    while True:
        received = peer.wait(Action.UPD, Action.BUS, timeout=8)
        told |= set(numbers(received))
        if any(bulk.status == w.Bulk.END for bulk in received.frame.all(Action.BUS)):
            break
    assert told == set(range(40))
    assert received.time - begin <= 6 * SECOND
    peer.collect(1)
    assert not numbers(*peer.collect(10))
    assert p.info(lan.a)["unconfirmed"] == 0


# -- how


def check_packet(received: Received) -> None:
    assert received.ttl == 255
    assert (received.tos, received.dont_fragment) == (p.TOS, True)


def test_to_the_group(lan: Lan, peer: Peer, flows: Flows) -> None:
    capture = lan.b.capture(only="proto 240")
    learn(peer, flows, 1)
    (packet, *_) = capture.received()
    (received, *_) = p.heard([packet])
    check_packet(received)
    assert (received.source, received.destination) == (lan.a.address, p.GROUP)
    assert packet.data[:6] == p.GROUP_MAC and packet.data[6:12].hex(":") == lan.a.mac
    assert len(received.data) == int.from_bytes(received.data[2:4])
    assert received.data[:2] == b"\6\0" and received.data[4:20] == bytes(16)


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_to_a_syncpeer(lan: Lan, six: bool) -> None:
    """To it alone, and from it; given later, and taken back."""
    a, b = (lan.a.address6, lan.b.address6) if six else (lan.a.address, lan.b.address)
    capture = lan.b.capture(only="proto 240 or ip6 proto 240")
    with Peer(lan.b, peer=a) as peer:
        p.meet(lan.a, peer, f"syncpeer {b}")
        with contextlib.closing(Flows(lan)) as flows:
            known = learn(peer, flows, 1)
            counted = p.counted(lan.a, peer.sends(frame((Action.INS_ACK, known[1].name))))
            assert counted == {"ipackets6" if six else "ipackets": 1, "acknowledged": 1}
            for received in p.heard(capture.received()):
                assert (received.source, received.destination, received.ttl) == (a, b, 255)
                assert received.tos == p.TOS
            # somebody else gets it from now on
            p.change(lan.a, f"syncpeer {lan.client.address}")
            heard = lan.client.capture(only="proto 240")
            flows.send(2)
            assert not peer.collect(2)
            assert {r.destination for r in p.heard(heard.received())} == {lan.client.address}
    with Peer(lan.b) as peer:
        p.change(lan.a, "-syncpeer")
        # there may be others behind it: they are asked
        assert peer.wait(Action.UPD_REQ).frame.all(Action.UPD_REQ) == [w.EVERYTHING]


def test_mtu(lan: Lan, peer: Peer, flows: Flows) -> None:
    """The least of both, also when it changes while states wait and are asked for."""
    capture = lan.b.capture(only="proto 240 and src host 10.0.0.2")

    def longest(first: int) -> int:
        capture.packets()
        begin = len(capture.packets())
        flows.send(*range(first, first + 20))
        peer.send(frame((Action.UPD_REQ, w.EVERYTHING)))
        told = {n for f in peer.collect(1.5) for n in numbers(f)}
        assert set(range(first, first + 20)) <= told
        return max(len(packet.data) - 14 for packet in capture.packets()[begin:])

    state = 4 + 264 + 4 + 92
    assert 1500 - state < longest(0) <= 1500
    flows.send(90, 91, 92)
    lan.a.ip("link", "set", "pfsync0", "mtu", "700")
    assert 700 - state < longest(100) <= 700
    lan.a.ip_batch("link set eth0 mtu 600", "link set pfsync0 mtu 9000")
    assert 600 - state < longest(200) <= 600
    lan.a.ip("link", "set", "eth0", "mtu", "1300")
    assert 1300 - state < longest(300) <= 1300
    assert p.stats(lan.a)["oerrors"] == 0


def test_tcpdump(lan: Lan, peer: Peer, flows: Flows) -> None:
    """It shows what goes and what comes, on pfsync0 itself."""
    tcpdump = lan.a.spawn("tcpdump", "-lnvi", "pfsync0", "-c", "4")
    tcpdump.wait_output("listening on pfsync0", 5)
    capture = lan.a.capture("pfsync0")
    learn(peer, flows, 1)
    lan.a.run("conntrack", "-F")
    peer.wait(Action.DEL_C)
    peer.send(frame((Action.UPD_REQ, w.EVERYTHING)))
    peer.wait(Action.BUS)
    output = tcpdump.wait()
    assert f"{lan.a.address} > {p.GROUP}" in output and f"{lan.b.address} > {p.GROUP}" in output
    packets = capture.packets()
    sources = {socket.inet_ntoa(packet.data[12:16]) for packet in packets}
    assert sources == {lan.a.address, lan.b.address}
    for packet in packets:
        version, protocol = packet.data[0] >> 4, packet.data[9]
        assert (version, protocol) == (4, 240)
        (length,) = struct.unpack_from("!H", packet.data, 2)
        assert w.Frame.unpack(packet.data[20:length])
    assert w.Frame.unpack(packets[0].data[20:]).all(Action.INS)
    # one answer has both: deletions are said again meanwhile
    link = lan.a.show("pfsync0")
    shown, stats = link["stats64"], link["linkinfo"]["info_data"]["stats"]
    assert shown["rx"]["packets"] == stats["ipackets"]
    assert shown["tx"]["packets"] == stats["opackets"]


def test_counters_of_what_is_sent(lan: Lan, peer: Peer, flows: Flows) -> None:
    before = p.stats(lan.a)
    learn(peer, flows, 1, 2)
    flows.send(1)
    peer.wait(Action.UPD_C)
    lan.a.run("conntrack", "-F")
    peer.wait(Action.DEL_C)
    after = p.stats(lan.a)
    for name, expected in (
        ("sent_inserts", 2), ("sent_compressed", 1), ("sent_deletes", 2), ("acknowledged", 2),
        ("repeated", 0), ("sent_updates", 0), ("oerrors", 0), ("onomem", 0),
    ):  # fmt: skip
        assert after[name] - before[name] == expected, name
    assert not conntrack.entries(lan.a, proto=17)
