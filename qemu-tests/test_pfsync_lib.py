# SPDX-License-Identifier: GPL-2.0
"""What tests of pfsync stand on: frames as bytes, a peer on the wire, and the list of
conntrack entries. No module of ours is loaded."""

from __future__ import annotations

import ipaddress
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from lib import conntrack, pfsync
from lib import pfsync_wire as w
from lib.lan import Lan
from lib.pfsync_wire import Action, Frame, frame

VECTORS = json.loads((Path(__file__).parent / "vectors/pfsync.json").read_text())
LONGER = {"a longer message than we know: the rest of it is ignored"}
"""What is there and has no name is not written again."""
TCP = ("10.0.0.99", 51000, "198.51.100.7", 443)
TRANSLATED = ("198.51.100.7", 443, "203.0.113.5", 60001)
TCP6 = ("2001:db8::1", 1024, "2001:db8::2", 80)


def named(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=case["name"].replace(" ", "-")) for case in cases]


def same_peer(peer: w.Peer, told: dict[str, int]) -> None:
    assert {name: getattr(peer, name) for name in told} == told


def same_state(state: w.State, told: dict[str, Any]) -> None:
    assert (state.id.hex(), state.creatorid.hex()) == (told["id"], told["creatorid"])
    for key, keys in zip(state.key, told["key"], strict=True):
        assert list(map(ipaddress.ip_address, key.addr)) == list(
            map(ipaddress.ip_address, keys["addr"])
        )
        assert list(key.port) == keys["port"]
    same_peer(state.src, told["src"])
    same_peer(state.dst, told["dst"])
    for name in ("ifname", "creation", "expire", "proto", "direction", "timeout", "state_flags"):
        assert getattr(state, name) == told[name], name
    assert list(state.packets) == told["packets"]
    assert list(state.octets) == told["bytes"]
    for found, expected in zip(state.tuples(), told["conntrack"].values(), strict=True):
        assert found == tuple(expected)
    assert state.problem() is None


@pytest.mark.parametrize("case", named(VECTORS["valid"]))
def test_frames_are_read(case: dict[str, Any]) -> None:
    parsed = Frame.unpack(bytes.fromhex(case["frame"]))
    if "states" in case:
        assert len(parsed.states()) == len(case["states"])
        for state, told in zip(parsed.states(), case["states"], strict=True):
            same_state(state, told)
    for told in case.get("updates", []):
        (update,) = parsed.all(Action.UPD_C)
        assert (update.id.hex(), update.creatorid.hex()) == (told["id"], told["creatorid"])
        same_peer(update.src, told["src"])
        same_peer(update.dst, told["dst"])
        assert update.timeout == told["timeout"]
    if "ids" in case:
        names = parsed.all(Action.INS_ACK, Action.UPD_REQ, Action.DEL_C)
        assert [[name.id.hex(), name.creatorid.hex()] for name in names] == case["ids"]
    if "status" in case:
        assert [bulk.status for bulk in parsed.all(Action.BUS)] == [case["status"]]
    if "ifname" in case:
        (clear,) = parsed.all(Action.CLR)
        assert (clear.ifname, clear.creatorid.hex()) == (case["ifname"], case["creatorid"])
    if "sections" in case:
        assert parsed.actions == case["sections"]


@pytest.mark.parametrize("case", named(VECTORS["valid"]))
def test_frames_are_written(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["frame"])
    # what follows the length in the header belongs to nobody
    data = data[: int.from_bytes(data[2:4])]
    parsed = Frame.unpack(data)
    if case["name"] in LONGER:
        assert Frame.unpack(parsed.pack()) == parsed
    else:
        assert parsed.pack() == data


@pytest.mark.parametrize("case", named(VECTORS["refused"]))
def test_frames_are_refused(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["frame"])
    if case["why"] in ("value", "import"):
        (state,) = Frame.unpack(data).states()
        assert state.problem() == case["why"]
    else:
        with pytest.raises(w.Refused, match=case["why"]):
            Frame.unpack(data)


@pytest.mark.parametrize("direction", [w.IN, w.OUT])
@pytest.mark.parametrize(
    ("original", "reply"),
    [(TCP, None), (TCP, TRANSLATED), (TCP6, None)],
    ids=["IPv4", "NAT", "IPv6"],
)
def test_a_state_of_tuples(original: Any, reply: Any, direction: int) -> None:
    state = w.State.of(original, reply, direction=direction, proto=6)
    expected = reply or w.Tuple(*original).inverted()
    assert state.tuples() == (original, expected)
    assert len(state.pack()) == 264
    again = w.State.unpack(state.pack())
    assert again == state and again.problem() is None


@pytest.mark.parametrize(
    "case", named([case for case in VECTORS["valid"] if "NAT" in case["name"]])
)
def test_keys_are_the_vectors(case: dict[str, Any]) -> None:
    (told,) = case["states"]
    made = w.State.of(*told["conntrack"].values(), direction=told["direction"])
    assert [list(key.addr) for key in made.key] == [key["addr"] for key in told["key"]]
    assert [list(key.port) for key in made.key] == [key["port"] for key in told["key"]]


def test_everything_there_is() -> None:
    """Each action, Linux' own among them, comes back as it was sent."""
    id, creator = bytes(range(8)), b"\1\2\3\4"
    name = w.Id(id, creator)
    extra = w.Extra(
        id,
        creator,
        {
            "status": 0x0E,
            "timeout": 432000,
            "zone": (7, 3),
            "mark": 16,
            "labels": bytes(range(16)),
            "helper": "ftp",
            "tcp": w.TcpLast(3, 1, 0, 2, 7, 0x10, 512, 1, 2, 3),
            "tcp_original": w.TcpSide(1, 2, 3, 4, 7, 0x2B),
            "tcp_reply": w.TcpSide(5, 6, 7, 8, 7, 0x2B),
            "adjust_original": (1, -2, 3),
            "adjust_reply": (0, 0, -1),
            "sctp": (3, b"abcd", b"efgh", 1, 0, 1, 0),
            "gre": (30, 180),
            "master": w.Id(bytes(8), creator),
            "synproxy": (1, 2, 3),
            "ids": (1, 2, 3, 4),
            "start": 1 << 60,
            "other_side": bytes(range(16)),
            "half_of": w.Id(bytes(8), creator),
            "in_use": 1,
            200: b"newer",
        },
    )
    told = {key for key in extra.values if isinstance(key, str)}
    assert set(w.TYPES) - {"compact"} == told
    expected = w.Expectation(
        name, 5, True, 6, "10.0.0.1", "10.0.0.2", (0, 20), b"\xff" * 16, 0, 1, 21, bytes(16), 300,
        1, 2, "ftp", "", "nat-follow-master",
    )  # fmt: skip
    last, sides = (
        w.TcpLast(3, 1, 0, 2, 7, 0x10, 512, 1, 2, 3),
        (w.TcpSide(1, 2, 3, 4, 7, 0x2B),) * 2,
    )
    whole = w.Compact(
        id,
        creator,
        w.Tuple(*TCP),
        6,
        w.Tuple(*TRANSLATED),
        6,
        300,
        7,
        1,
        True,
        False,
        (last, sides),
        {"mark": 5},
    )
    sent = [
        (Action.CLR, w.Clear(creator, "eth0")),
        (Action.INS_ACK, name, name),
        (Action.UPD_C, w.Update(id, creator, w.Peer(1, 2, 3), w.Peer(4, 5, 6))),
        (Action.UPD_REQ, w.EVERYTHING),
        (Action.DEL, w.State.of(TCP)),
        (Action.DEL_C, name),
        (Action.BUS, w.Bulk(creator, w.Bulk.END)),
        (Action.EXTRA, extra),
        (Action.INS, w.State.of(TCP6, state_flags=w.ACK)),
        (Action.UPD, w.State.of(TCP, TRANSLATED)),
        (Action.TDB, w.Tdb(256, replay=7)),
        (Action.EXPECT, expected),
        (Action.EXPECT, w.Expectation(name, 5, present=False, source="::", destination="::1")),
        (Action.COMPACT, whole),
        (Action.NUMBER, w.FrameNumber(creator, 7)),
        (Action.ARRIVED, w.Confirmation(creator, 7, frozenset({0, 31, 33}))),
        (3, b"abcd"),
        (250, b"12345678", b"87654321"),
    ]
    data = frame(*sent)
    assert int.from_bytes(data[2:4]) == len(data)
    parsed = Frame.unpack(data)
    assert parsed.actions == [action for action, *_ in sent]
    for section, (_, *messages) in zip(parsed.sections, sent, strict=True):
        assert list(section.messages) == messages
    sizes = {action: w.KINDS[action][1] for action in Action}
    assert sizes[Action.INS] == w.State.WIRE.size == 264
    assert sizes[Action.UPD_C] == w.Update.WIRE.size == 84
    assert sizes[Action.EXPECT] == w.Expectation.WIRE.size == 168
    assert sizes[Action.TDB] == w.Tdb.WIRE.size == 52


@pytest.mark.parametrize(
    ("data", "why"),
    [("0401", "length"), ("04", "length"), ("040100", "value"), ("0205000000", "length")],
)
def test_bad_attributes(data: str, why: str) -> None:
    with pytest.raises(w.Refused, match=why):
        w.Extra.unpack(bytes(12) + bytes.fromhex(data))


# -- on the wire


@pytest.mark.parametrize("to", ["group", "IPv4", "IPv6"])
def test_peers_hear_each_other(lan: Lan, to: str) -> None:
    a, b = lan.a, lan.b
    addresses = {"group": (None, None), "IPv4": (b.address, a.address)}
    there, back = addresses.get(to, (b.address6, a.address6))
    capture = b.capture(only="proto 240 or ip6 proto 240")
    with pfsync.Peer(a, peer=there) as one, pfsync.Peer(b, peer=back) as other:
        assert other.receive(0.01) is None
        one.send(frame((Action.UPD_REQ, w.EVERYTHING)))
        other.send(frame((Action.BUS, w.Bulk(b"abcd", w.Bulk.START))))
        received = other.wait(Action.UPD_REQ)
        assert received.frame.all(Action.UPD_REQ) == [w.EVERYTHING]
        assert received.source == (a.address6 if to == "IPv6" else a.address)
        assert received.ttl == pfsync.TTL
        assert one.wait(Action.BUS).frame.actions == [Action.BUS]
        assert one.collect(0.05) == [], "nobody hears himself"
        with pytest.raises(AssertionError, match="in vain for INS/UPD"):
            other.wait(Action.INS, Action.UPD, timeout=0.05)
    first, second = pfsync.heard(capture.packets())
    assert (first.frame, first.ttl, first.source) == (received.frame, 255, received.source)
    assert first.destination == (there or pfsync.GROUP)
    assert first.dont_fragment and not first.outgoing and second.outgoing
    assert first.tos == (0 if to == "IPv6" else pfsync.TOS)


def test_a_low_ttl(lan: Lan) -> None:
    with pfsync.Peer(lan.a, ttl=254) as one, pfsync.Peer(lan.b) as other:
        one.send(b"\6\0\0\x14" + bytes(16))
        received = other.receive()
        assert received and received.ttl == 254 and received.frame.sections == ()


# -- conntrack


def test_entries_are_listed(lan: Lan) -> None:
    """A connection with NAT and a mark, and a datagram that nobody answered."""
    host = lan.client
    rules = """
        table inet t {
            chain out { type filter hook output priority 0; ct mark set 7; }
            chain nat {
                type nat hook postrouting priority 100
                tcp dport 99 snat ip to 10.0.0.100:7000
            }
        }"""
    host.run("nft", "-f", "-", input=rules)
    assert conntrack.entries(host) == []
    with lan.a.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind(("", 99))
        server.listen()
        with host.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            s.connect((lan.a.address, 99))
            port = s.getsockname()[1]
            (entry,) = conntrack.entries(host, proto=6)
    assert entry["original"] == (host.address, port, lan.a.address, 99)
    assert entry["reply"] == (lan.a.address, 99, host.address, 7000)
    assert (entry["tcp"], entry["mark"], entry["zone"]) == ("ESTABLISHED", 7, 0)
    assert conntrack.has(entry, "SEEN_REPLY", "ASSURED", "CONFIRMED", "SRC_NAT")
    assert not conntrack.has(entry, "DST_NAT")
    assert 430000 < entry["timeout"] <= 432000
    assert 0 not in entry["wscale"]

    with host.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.sendto(b"x", (lan.b.address6, 9))
        entry = conntrack.entry(host, proto=17)
    assert entry and entry["original"].destination == lan.b.address6
    assert conntrack.count(host) == len(conntrack.entries(host))
    host.run("ping", "-c1", lan.b.address)
    (entry,) = conntrack.entries(host, proto=1)
    assert entry["original"][::2] == (host.address, lan.b.address)
    assert (entry["original"].dport, entry["reply"].dport) == (0x800, 0)
