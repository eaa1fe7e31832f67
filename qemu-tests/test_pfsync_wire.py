# SPDX-License-Identifier: GPL-2.0
"""What a peer says, as OpenBSD would, and what comes of it; each message of version 6."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from lib import conntrack
from lib import pfsync as p
from lib import pfsync_wire as w
from lib.clock import wait_for
from lib.conntrack import has
from lib.kmsg import Kmsg
from lib.lan import Lan
from lib.pfsync import CREATOR, Peer
from lib.pfsync_wire import Action, frame

pytestmark = pytest.mark.usefixtures("pfsync")

UDP = ("192.0.2.1", 1024, "198.51.100.1", 53)
TCP = ("192.0.2.1", 2048, "198.51.100.1", 80)
NO_PORTS = w.State.of(("192.0.2.1", 0, "198.51.100.1", 0)).key
UNKNOWN = "pf does not know the ports of this protocol"
SINGLE, MULTIPLE = w.Peer(state=1), w.Peer(state=2)
# TCP's timeout classes, and its states
OPENING, ESTABLISHED, CLOSING = 1, 2, 3
OPEN, FIN = 4, 7


@pytest.fixture
def peer(lan: Lan) -> Iterator[Peer]:
    """b, with which a's pfsync0 has met."""
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        yield peer


def udp(number: int = 1, **fields: Any) -> w.State:
    """A state of UDP, one for each number."""
    source, port, *rest = UDP
    values = {"src": MULTIPLE, "dst": SINGLE, "creatorid": CREATOR, "expire": 40, **fields}
    return w.State.of((source, port + number, *rest), id=number.to_bytes(8), **values)


def side(seq: int, state: int = OPEN) -> w.Peer:
    return w.Peer(seqlo=seq, seqhi=seq + 65535 & 0xFFFFFFFF, max_win=512, state=state, wscale=0x87)


def tcp(**fields: Any) -> w.State:
    """A TCP connection, established."""
    values = {
        "src": side(1000), "dst": side(5000), "creatorid": CREATOR, "proto": 6,
        "timeout": ESTABLISHED, "expire": 4000, **fields,
    }  # fmt: skip
    return w.State.of(TCP, id=b"tcptcptc", **values)


def update(state: w.State, **fields: Any) -> w.Update:
    values = {"src": state.src, "dst": state.dst, "timeout": state.timeout, **fields}
    return w.Update(state.id, state.creatorid, **values)


def about(frames: list[p.Received], name: w.Id) -> list[Any]:
    """The messages of a state among frames, each with its action."""
    return [
        (section.action, message)
        for received in frames
        for section in received.frame.sections
        for message in section.messages
        if getattr(message, "id", None) == name.id and section.action < Action.EXTRA
    ]


# -- INS


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"direction": 0}, "state without direction"),
        ({"src": side(1000, 11)}, "connection is still being proxied"),
        *(({"proto": proto, "key": NO_PORTS}, UNKNOWN) for proto in (132, 33, 136)),
    ],
    ids=["direction", "proxy", "SCTP", "DCCP", "UDP-Lite"],
)
def test_the_log_says_what_is_not_taken(
    lan: Lan, peer: Peer, log: Kmsg, change: dict[str, Any], why: str
) -> None:
    """And by which name the others know it; ten in five seconds, whatever was logged about
    another namespace just now."""
    counted = p.counted(lan.a, peer.sends(*[frame((Action.INS, tcp().but(**change)))] * 50))
    assert counted["badstate"] == 50
    name = f"{b'tcptcptc'.hex()} of {CREATOR.hex()}"
    lines = [line for line in log.read() if "is not taken" in line]
    assert len(lines) == 10
    assert all(f"pfsync0: state {name} is not taken: {why}" in line for line in lines)


@pytest.mark.parametrize("action", [Action.INS, Action.UPD])
def test_insert(lan: Lan, peer: Peer, action: Action) -> None:
    """It is there, it is not sent on, and not confirmed unless that is asked for; when
    nobody refreshes it, it ends by itself, and the peer keeps its own."""
    state = udp(expire=5)
    counted = p.counted(lan.a, peer.sends(frame((action, state))))
    assert counted == {"ipackets": 1, "inserted": 1}
    entry = conntrack.entry(lan.a, original=state.tuples()[0])
    assert entry and entry["proto"] == 17 and 3 <= entry["timeout"] <= 5
    assert has(entry, "SEEN_REPLY", "CONFIRMED") and not has(entry, "ASSURED")
    assert about(peer.collect(9), state.name) == []
    assert conntrack.entry(lan.a, original=state.tuples()[0]) is None
    assert p.stats(lan.a)["sent_deletes"] == 0


@pytest.mark.parametrize("action", [Action.INS, Action.UPD])
def test_insert_is_confirmed(lan: Lan, peer: Peer, action: Action) -> None:
    """At once; again if it is said again, and several in one frame."""
    states = [udp(number, state_flags=w.ACK) for number in range(1, 5)]
    names = [state.name for state in states]
    for _ in range(2):
        begin = time.monotonic()
        peer.send(frame((action, *states)))
        acks = peer.wait(Action.INS_ACK)
        assert acks.frame.all(Action.INS_ACK) == names
        assert time.monotonic() - begin < 0.05
    assert p.stats(lan.a)["sent_acks"] == 8
    assert len(conntrack.entries(lan.a, proto=17)) == 4


@pytest.mark.parametrize(
    ("expire", "timeout", "expected"),
    [(0, ESTABLISHED, 86400), (17, ESTABLISHED, 17), (0, OPENING, 30), (4000, CLOSING, 4000)],
)
def test_expire(lan: Lan, peer: Peer, expire: int, timeout: int, expected: int) -> None:
    """Of an INS it counts; 0 is the full timeout of the class."""
    peer.send(frame((Action.INS, tcp(expire=expire, timeout=timeout))))
    time.sleep(0.02)
    entry = conntrack.entry(lan.a, proto=6)
    assert entry and expected - 2 <= entry["timeout"] <= expected


@pytest.mark.parametrize("direction", [w.IN, w.OUT], ids=["in", "out"])
def test_insert_tcp_with_nat(lan: Lan, peer: Peer, direction: int) -> None:
    translated = ("198.51.100.1", 80, "203.0.113.5", 60001)
    state = w.State.of(
        TCP, translated, direction=direction, proto=6, src=side(1), dst=side(2),
        timeout=ESTABLISHED, creatorid=CREATOR, packets=(5, 6), octets=(500, 600),
    )  # fmt: skip
    lan.a.sysctl("net.netfilter.nf_conntrack_acct", 1)
    peer.send(frame((Action.INS, state)))
    time.sleep(0.02)
    entry = conntrack.entry(lan.a, proto=6)
    assert entry and (entry["original"], entry["reply"]) == (TCP, translated)
    assert (entry["tcp"], entry["wscale"]) == ("ESTABLISHED", (7, 7))
    assert has(entry, "SRC_NAT", "SEEN_REPLY", "ASSURED")
    assert entry["counters_original"] == (0, 0), "what the peer counted, it counted"


def test_insert_ipv6_icmp_and_others(lan: Lan, peer: Peer) -> None:
    six = ("2001:db8::1", 7, "2001:db8::2", 128)
    ping = w.State.of(six, id=b"\1" * 8, proto=58, timeout=9)
    other = w.State.of(
        ("192.0.2.1", 0, "198.51.100.1", 0), id=b"\2" * 8, proto=99, src=SINGLE, timeout=11
    )
    old = w.State.of(("192.0.2.1", 77, "198.51.100.1", 8), id=b"\3" * 8, proto=1, timeout=9)
    counted = p.counted(lan.a, peer.sends(frame((Action.INS, ping, other, old))))
    assert counted["inserted"] == 3
    for proto, source in ((58, six[0]), (99, "192.0.2.1"), (1, "192.0.2.1")):
        entry = conntrack.entry(lan.a, proto=proto)
        assert entry and entry["original"].source == source


def test_gre_goes_on(lan: Lan, peer: Peer) -> None:
    """pf does not tell GRE's timeouts, which conntrack has in each entry: they are those that
    are set here, and a packet does not end it."""
    lan.a.sysctl("net.netfilter.nf_conntrack_gre_timeout_stream", 170)
    client = lan.client
    tunnel = w.State.of(
        (client.address, 0, lan.a.address, 0),
        (lan.a.address, 0, client.address, 0),
        id=b"\2" * 8, creatorid=CREATOR, proto=47, src=MULTIPLE, dst=MULTIPLE, timeout=11,
    )  # fmt: skip
    assert p.counted(lan.a, peer.sends(frame((Action.INS, tunnel))))["inserted"] == 1
    for again in range(2):
        with client.socket(socket.AF_INET, socket.SOCK_RAW, 47) as s:
            s.sendto(bytes.fromhex("00000800") + bytes(20), (lan.a.address, 0))
        time.sleep(0.1)
        entry = conntrack.entry(lan.a, proto=47)
        assert entry and has(entry, "SEEN_REPLY") and entry["timeout"] in (169, 170)
        # and what pf says again changes nothing of that
        if not again:
            peer.send(frame((Action.UPD, tunnel)))
            time.sleep(0.1)


def test_no_sync_proxy_and_nobodys(lan: Lan, peer: Peer) -> None:
    """States of the synproxy cannot be taken over; those without a creator are refused."""
    proxied = tcp(src=side(1, 11), dst=side(1, 0), timeout=OPENING)
    nobodys = udp(creatorid=bytes(4))
    for state in (proxied, nobodys):
        counted = p.counted(lan.a, peer.sends(frame((Action.INS, state))))
        assert counted == {"ipackets": 1, "badstate": 1}
    assert not [e for e in conntrack.entries(lan.a) if e["original"].source == "192.0.2.1"]


def test_both_have_seen_its_first_packet(lan: Lan, peer: Peer) -> None:
    """One connection under two names: Linux hosts keep the lesser one."""
    with lan.client.socket(2, 2) as s, lan.a.socket(2, 2) as sink:
        sink.bind(("", 53))
        s.bind(("", 1024))
        s.sendto(b"x", (lan.a.address, 53))
        (ours,) = (
            state
            for state in peer.wait(Action.INS).frame.states()
            if state.tuples()[0].source == lan.client.address
        )
        peer.send(frame((Action.INS_ACK, ours.name)))
        least, most = bytes(8), b"\xff" * 8

        def told(id: bytes) -> bytes:
            theirs = ours.but(id=id, creatorid=CREATOR, state_flags=w.ACK)
            beside = w.Extra(id, CREATOR, {"timeout": 60})
            return frame((Action.EXTRA, beside), (Action.INS, theirs))

        peer.send(told(most))
        again = peer.wait(Action.UPD, Action.UPD_C)
        assert about([again], ours.name), "ours is the lesser name"
        peer.send(told(least))
        assert peer.wait(Action.INS_ACK).frame.all(Action.INS_ACK)[0].id == least
        assert len(conntrack.entries(lan.a, original=ours.tuples()[0])) == 1
        counted = p.counted(lan.a, peer.sends(frame((Action.DEL_C, ours.name))))
        assert counted == {"ipackets": 1}, "that name is forgotten"


# -- UPD, UPD_C


def test_update_udp(lan: Lan, peer: Peer) -> None:
    """What is newer is taken, and the full timeout of its class begins; what is older is
    counted, and ours is sent back at once."""
    state = udp(dst=w.Peer(state=0), expire=10)
    peer.send(frame((Action.INS, state)))
    newer = update(state, dst=MULTIPLE, timeout=8, expire=5)
    counted = p.counted(lan.a, peer.sends(frame((Action.UPD_C, newer))))
    assert counted == {"ipackets": 1, "updated": 1}
    entry = conntrack.entry(lan.a, proto=17)
    assert entry and has(entry, "ASSURED", "SEEN_REPLY") and 58 <= entry["timeout"] <= 60
    assert about(peer.collect(2), state.name) == []
    time.sleep(8)
    older = update(state, src=SINGLE, dst=w.Peer(state=0))
    counted = p.counted(lan.a, peer.sends(frame((Action.UPD_C, older))))
    assert (counted["stale"], counted.get("updated")) == (2, None)
    entry = conntrack.entry(lan.a, proto=17)
    assert entry and has(entry, "ASSURED") and entry["timeout"] <= 51, "not refreshed"
    ((action, sent),) = about(peer.collect(0.1), state.name)
    assert action in (Action.UPD_C, Action.UPD)
    assert (sent.src.state, sent.dst.state) == (2, 2)


@pytest.mark.parametrize("compressed", [False, True], ids=["UPD", "UPD_C"])
def test_update_tcp(lan: Lan, peer: Peer, compressed: bool) -> None:
    """Each of the two sides is judged alone: by its state, then by its number."""

    def send(**fields: Any) -> dict[str, int]:
        changed = state.but(**fields)
        message = (Action.UPD_C, update(changed)) if compressed else (Action.UPD, changed)
        return p.counted(lan.a, peer.sends(frame(message)))

    state = tcp()
    peer.send(frame((Action.INS, state)))
    assert send(src=side(2000), dst=side(6000)) == {"ipackets": 1, "updated": 1}
    # one newer, one older: ours is sent back, with both at their newest
    counted = send(src=side(3000), dst=side(4000))
    assert (counted["stale"], counted["updated"]) == (1, 1)
    sent = about(peer.collect(0.1), state.name)[-1][1]
    assert (sent.src.seqlo, sent.dst.seqlo) == (3000, 6000)
    # a state that goes on counts more than a number that goes back
    send(src=side(2500, FIN), dst=side(6000), timeout=CLOSING)
    entry = conntrack.entry(lan.a, proto=6)
    assert entry and entry["tcp"] == "FIN_WAIT" and entry["timeout"] > 890
    counted = send(src=side(9000), dst=side(6000))
    assert counted["stale"] == 1, "a FIN is not taken back"
    entry = conntrack.entry(lan.a, proto=6)
    assert entry and entry["tcp"] == "FIN_WAIT"
    # around the circle of numbers
    counted = send(src=side(0xFFFFFFF0, FIN), dst=side(6000))
    assert counted["stale"] == 1
    send(src=side(3000, 10), dst=side(6000, 10), timeout=5)
    entry = conntrack.entry(lan.a, proto=6)
    assert entry and entry["tcp"] == "CLOSE" and entry["timeout"] <= 90


def test_update_of_the_unknown(lan: Lan, peer: Peer) -> None:
    """A part of a state that is not here: the whole is asked for, and taken."""
    states = [udp(number) for number in (1, 2, 3)]
    counted = p.counted(lan.a, peer.sends(frame((Action.UPD_C, *map(update, states)))))
    assert counted == {"ipackets": 1, "opackets": 1, "sent_requests": 3}
    request = peer.wait(Action.UPD_REQ).frame
    assert request.actions == [Action.UPD_REQ]
    assert request.all(Action.UPD_REQ) == [state.name for state in states]
    peer.send(frame((Action.UPD, *states)))
    time.sleep(0.02)
    assert len(conntrack.entries(lan.a, proto=17)) == 3


# -- DEL, DEL_C, CLR


def test_delete(lan: Lan, peer: Peer) -> None:
    """By its name, or whole; nothing is said of it any more. One that is not there was
    deleted before."""
    first, second, third = (udp(number) for number in (1, 2, 3))
    peer.send(frame((Action.INS, first, second, third)))
    counted = p.counted(lan.a, peer.sends(frame((Action.DEL_C, first.name))))
    assert counted == {"ipackets": 1, "deleted": 1}
    counted = p.counted(lan.a, peer.sends(frame((Action.DEL, second, udp(9)))))
    assert counted == {"ipackets": 1, "deleted": 1}
    (left,) = conntrack.entries(lan.a, proto=17)
    assert left["original"] == third.tuples()[0]
    assert peer.collect(3) == []
    peer.send(frame((Action.INS, first)))
    time.sleep(0.02)
    assert len(conntrack.entries(lan.a, proto=17)) == 2, "it may come again"


def test_clear(lan: Lan, peer: Peer) -> None:
    """All of one creator, and no others; states here belong to no interface."""
    other = bytes.fromhex("00000001")
    states = [udp(number) for number in range(1, 6)]
    peer.send(frame((Action.INS, *states)), frame((Action.INS, udp(9, creatorid=other))))
    counted = p.counted(lan.a, peer.sends(frame((Action.CLR, w.Clear(CREATOR, "em0")))))
    assert counted == {"ipackets": 1}
    assert len(conntrack.entries(lan.a, proto=17)) == 6
    counted = p.counted(lan.a, peer.sends(frame((Action.CLR, w.Clear(CREATOR)))))
    assert counted == {"ipackets": 1, "deleted": 5}
    (left,) = conntrack.entries(lan.a, proto=17)
    assert left["original"] == udp(9).tuples()[0]
    assert not [f for f in peer.collect(3) if f.frame.all(Action.DEL, Action.DEL_C)]


def test_clear_many(lan: Lan, peer: Peer) -> None:
    """Some at a time; what is told of meanwhile stays, whoever says CLR how often."""
    states = [udp(number) for number in range(1, 2001)]
    peer.send(*(frame((Action.INS, *states[i : i + 5])) for i in range(0, 2000, 5)))
    wait_for(lambda: p.stats(lan.a)["inserted"] == 2000, 5, "all states arrive")
    others = [w.Clear(number.to_bytes(4)) for number in range(1, 20)]
    peer.send(
        frame((Action.CLR, w.Clear(CREATOR), w.Clear(CREATOR), *others)),
        frame((Action.INS, udp(5000), udp(1))),
    )
    # the first may be gone before it is told of again
    wait_for(lambda: p.stats(lan.a)["deleted"] >= 1999, 1, "the old ones are deleted")
    time.sleep(0.1)
    assert p.stats(lan.a)["deleted"] <= 2000
    assert p.stats(lan.a)["badval"] == 12, "so many creators at once are nobody's"
    assert len(conntrack.entries(lan.a, proto=17)) == 2


# -- UPD_REQ, BUS


def test_request_for_one(lan: Lan, peer: Peer) -> None:
    """It is sent whole and at once, whoever has it from whom."""
    state = udp()
    peer.send(frame((Action.INS, state)))
    begin = time.monotonic()
    peer.send(frame((Action.UPD_REQ, state.name)))
    received = peer.wait(Action.UPD)
    assert time.monotonic() - begin < 0.05
    (answer,) = received.frame.states()
    assert (answer.name, answer.tuples()) == (state.name, state.tuples())
    assert (answer.src.state, answer.dst.state) == (2, 1)
    # now it is to be confirmed, as what a peer may not have
    assert answer.state_flags & w.ACK
    peer.send(frame((Action.INS_ACK, state.name)))
    assert about(peer.collect(2), state.name) == []
    counted = p.counted(lan.a, peer.sends(frame((Action.UPD_REQ, udp(9).name))))
    assert counted == {"ipackets": 1, "badstate": 1}


def test_request_for_all(lan: Lan, peer: Peer) -> None:
    """START, everything, END: as UPD. One who confirms gets more at once."""
    states = [udp(number) for number in range(1, 101)]
    for first in range(0, 100, 5):
        peer.send(frame((Action.INS, *states[first : first + 5])))
    time.sleep(0.02)
    peer.send(frame((Action.UPD_REQ, w.EVERYTHING)))
    begin, frames = time.monotonic(), []
    while not frames or not any(b.status == 2 for b in frames[-1].frame.all(Action.BUS)):
        frames.append(peer.wait(Action.UPD, Action.BUS))
        updates = frames[-1].frame.all(Action.UPD)
        if updates:
            peer.send(frame((Action.INS_ACK, *(update.name for update in updates))))
    assert time.monotonic() - begin < 1.5
    assert frames[0].frame.all(Action.BUS)[0].status == w.Bulk.START
    told = [s for received in frames for s in received.frame.all(Action.UPD)]
    assert {s.name for s in told} >= {s.name for s in states}
    assert not any(received.frame.all(Action.INS) for received in frames)
    assert p.stats(lan.a)["bulk_answered"] == 1
    later = peer.collect(2)
    assert not about(later, states[0].name)


def test_end_without_start(lan: Lan) -> None:
    """So says OpenBSD when it has nothing."""
    with Peer(lan.b) as peer:
        p.create(lan.a)
        peer.wait(Action.UPD_REQ)
        end = frame((Action.BUS, w.Bulk(CREATOR, w.Bulk.END)))
        assert p.counted(lan.a, peer.sends(end))["bulk_received"] == 1
        assert p.bulk(lan.a) == "done"
        counted = p.counted(lan.a, peer.sends(end, frame((Action.BUS, w.Bulk(CREATOR, 9)))))
        assert counted == {"ipackets": 2}, "nobody has asked"


# -- others


def test_tdb_and_ruleset(lan: Lan, peer: Peer) -> None:
    """IPsec is none of ours; nor is what a peer's rules sum up to."""
    counted = p.counted(lan.a, peer.sends(frame((Action.TDB, w.Tdb(256, replay=7)))))
    assert counted == {"ipackets": 1, "skipped": 1}
    data = frame((Action.INS, udp()))
    data = data[:4] + bytes(range(16)) + data[20:]
    assert p.counted(lan.a, peer.sends(data))["inserted"] == 1


def test_longer_messages(lan: Lan, peer: Peer) -> None:
    """Of a later revision: what exceeds ours is not looked at, unknown sections are
    stepped over, and what follows the frame's length is padding."""
    longer = udp(1).pack() + b"later!!!"
    data = frame((Action.INS, longer), (99, b"what is this"), (Action.INS, udp(2)))
    counted = p.counted(lan.a, peer.sends(data + b"padding"))
    assert counted == {"ipackets": 1, "inserted": 2, "skipped": 1}


def test_what_linux_says_beside(lan: Lan, peer: Peer) -> None:
    """It counts for the next state alone, if that has the name; and only if it fits."""
    first, second, third = (udp(number) for number in (1, 2, 3))

    def extra(state: w.State, **values: Any) -> w.Extra:
        values = {"status": 2, "timeout": 300, "mark": 77, **values}
        return w.Extra(state.id, state.creatorid, values)

    of_tcp = extra(third, tcp=w.TcpLast(3), tcp_original=w.TcpSide(), tcp_reply=w.TcpSide())
    counted = p.counted(
        lan.a,
        peer.sends(
            frame(
                (Action.EXTRA, extra(first)), (Action.INS, first),
                (Action.EXTRA, extra(first)), (Action.INS, second),
                (Action.EXTRA, of_tcp), (Action.INS, third),
            )
        ),
    )  # fmt: skip
    assert counted["inserted"] == 3
    marks = {
        state.id: conntrack.entry(lan.a, original=state.tuples()[0]) or {}
        for state in (first, second, third)
    }
    assert [entry["mark"] for entry in marks.values()] == [77, 0, 0]
    assert 295 <= marks[first.id]["timeout"] <= 300
    assert 35 <= marks[second.id]["timeout"] <= 40
    # an attribute that exceeds its message: the state beside it is good
    bad = first.id + CREATOR + bytes([4, 200, 0, 0])
    data = frame((Action.EXTRA, bad), (Action.UPD, first.but(src=MULTIPLE, dst=MULTIPLE)))
    counted = p.counted(lan.a, peer.sends(data))
    assert counted.pop("badval", 0) + counted.pop("badlen", 0) == 1
    assert counted == {"ipackets": 1, "updated": 1}
