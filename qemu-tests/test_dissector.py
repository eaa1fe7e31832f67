# SPDX-License-Identifier: GPL-2.0
"""dist/wireshark/carp.lua in tshark: the vectors, what lib/ writes, what hosts send, and
what nobody should send; and the recipes for tcpdump beside it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from lib import carp as c
from lib import pfsync_wire as w
from lib.clock import wait_for
from lib.frames import checksum
from lib.pair import SERVER, Datagrams, Pair
from lib.pfsync_compact import GREETING, Compact
from lib.pfsync_confirmation import Confirmation, FrameNumber
from lib.pfsync_linux import Expectation, Extra, TcpLast, TcpSide
from lib.pfsync_wire import Action, Id, State, Tuple, frame
from lib.process import run
from lib.tshark import dissect, write_pcap
from lib.world import World

pytestmark = pytest.mark.programs

VECTORS = Path(__file__).parent / "vectors"
ID, CREATOR = bytes(range(1, 9)), b"\xde\xad\xbe\xef"
ID_SHOWN, CREATOR_SHOWN = "0x0102030405060708", "0xdeadbeef"
UDP = Tuple("192.0.2.1", 1024, "198.51.100.1", 53)


def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


def pfsync(payload: bytes) -> bytes:
    return c.frame(payload, protocol=240, destination="224.0.0.240")


# -- CARP


def test_the_vectors_of_carp() -> None:
    all_of_them = vectors("carp")
    names = ("vhid", "advskew", "demote", "advbase", "counter", "digest", "checksum_good")
    fields = [f"carp2.{name}" for name in names]
    for make in (c.frame, c.frame6):
        frames = [make(bytes.fromhex(vector["advertisement"])) for vector in all_of_them]
        for vector, shown in zip(all_of_them, dissect(frames, *fields), strict=True):
            data = vector["advertisement"]
            expected = [str(vector[name]) for name in names[:4]]
            expected += [data[16:32], data[32:72], "True"]
            assert [shown[field] for field in fields] == [[it] for it in expected], vector
            assert shown["protocol"] == ["CARP"]


def trailer(neutral: bool = True) -> bytes:
    """Behind an advertisement that is authenticated as a whole; its HMAC is nobody's."""
    data = bytes([1, 7, 0, 0]) + (2_000_000_000).to_bytes(4) + b"\x80\0\0\5" + bytes(range(16))
    fill = checksum(data) if neutral else 0x1234
    return data[:2] + fill.to_bytes(2) + data[4:]


def test_what_else_comes_by_protocol_112() -> None:
    good = c.Advertisement(vhid=3, advskew=100, demote=33).payload()
    bow_out = c.Advertisement(advskew=255, advbase=255).payload()
    vrrp2 = bytes.fromhex("2103640100010000") + bytes([10, 0, 0, 1]) + bytes(8)
    vrrp2_seven = c.with_checksum(bytes.fromhex("2103640700010000") + bytes([10, 0, 0, 1] * 7))
    vrrp3 = bytes.fromhex("3103640100640000") + bytes([10, 0, 0, 1])
    payloads = [
        good, bow_out, good[:6] + b"\0\1" + good[8:], good + trailer(), good + trailer(False),
        good + b"what is this", vrrp2, vrrp2_seven + bytes(8), vrrp3, good[:20], b"",
    ]  # fmt: skip
    names = ("demote", "interval", "bow_out", "checksum_good", "auth.key", "auth.seconds", "rest")
    found = dissect(
        [c.frame(payload) for payload in payloads],
        *(f"carp2.{name}" for name in names),
    )  # fmt: skip
    assert [it["protocol"] for it in found[:6]] == [["CARP"]] * 6
    assert all(it["protocol"] != ["CARP"] for it in found[6:])
    assert [it["protocol"] for it in found[6:9]] == [["VRRP"]] * 3
    first, second, bad, signed, wrong, longer = found[:6]
    assert first["info"] == ["vhid 3 advbase 1 advskew 100 demote 33"]
    assert first["carp2.demote"] == ["33"] and first["carp2.interval"] == ["1.390625"]
    assert second["carp2.bow_out"] == ["True"] and second["info"][0].endswith(", bows out")
    assert bad["carp2.checksum_good"] == ["False"]
    assert bad["expert"] == ["The checksum is wrong"]
    for it in (signed, wrong):
        assert it["carp2.auth.key"] == ["7"] and it["carp2.auth.seconds"] == ["2000000000"]
    assert signed["expert"] == []
    assert wrong["expert"] == ["The trailer's sum is not neutral"]
    assert longer["carp2.rest"] == [b"what is this".hex()]


# -- pfsync


def test_the_vectors_of_pfsync() -> None:
    names = ("src", "sport", "dst", "dport", "src6", "dst6", "id", "creatorid", "proto", "expire")
    every = vectors("pfsync")
    frames = [pfsync(bytes.fromhex(it["frame"])) for it in every["valid"] + every["refused"]]
    found = dissect(frames, *(f"pfsync.{name}" for name in names))
    for vector, shown in zip(every["valid"], found, strict=False):
        states = vector.get("states", [])
        expected: dict[str, list[str]] = {name: [] for name in names}
        for state in states:
            source, sport, destination, dport = state["conntrack"]["original"]
            v6 = "6" if ":" in source else ""
            values = (source, sport, destination, dport, f"0x{state['id']}")
            values += (f"0x{state['creatorid']}", state["proto"], state["expire"])
            keys = (f"src{v6}", "sport", f"dst{v6}", "dport", *names[6:])
            for key, value in zip(keys, values, strict=True):
                expected[key].append(str(value))
        if states:
            assert {name: shown[f"pfsync.{name}"] for name in names} == expected, vector
    assert all(it["protocol"] == ["pfsync"] for it in found)


def test_each_message_of_version_6() -> None:
    name = Id(ID, CREATOR)
    state = State.of(UDP, id=ID, creatorid=CREATOR)
    messages = [
        (Action.CLR, w.Clear(CREATOR, "all")),
        (Action.INS_ACK, name, name),
        (Action.UPD_C, w.Update(ID, CREATOR, expire=9)),
        (Action.UPD_REQ, name),
        (Action.DEL, state),
        (Action.DEL_C, name),
        (Action.BUS, w.Bulk(CREATOR, w.Bulk.START)),
        (Action.INS, state),
        (Action.UPD, state),
        (Action.TDB, w.Tdb(spi=0x1234)),
    ]
    (shown,) = dissect(
        [pfsync(frame(*messages))],
        "pfsync.action", "pfsync.id", "pfsync.creatorid", "pfsync.bulk", "pfsync.tdb.spi",
        "pfsync.src",
    )  # fmt: skip
    assert shown["info"] == [
        "CLR x1, INS_ACK x2, UPD_C x1, UPD_REQ x1, DEL x1, DEL_C x1, BUS x1, INS x1, UPD x1, TDB x1"
    ]
    assert shown["pfsync.action"] == [str(int(action)) for action, *_ in messages]
    assert shown["pfsync.id"] == [ID_SHOWN] * 8
    assert shown["pfsync.creatorid"] == [CREATOR_SHOWN] * 10
    assert shown["pfsync.bulk"] == ["1"] and shown["pfsync.tdb.spi"] == ["0x00001234"]
    assert shown["pfsync.src"] == ["192.0.2.1"] * 3
    assert shown["expert"] == []


SIDES = (TcpSide(1000, 2000, 64, 900, 7, 1), TcpSide(5000, 6000, 32, 4900, 7, 0))
LAST = TcpLast(3, 1, 0, 2, 7, 16, 512, 11, 22, 33)
EXTRA = Extra(ID, CREATOR, {
    "status": 0x2E, "timeout": 77, "zone": (5, 3), "mark": 0x10, "labels": bytes(range(16)),
    "helper": "ftp", "tcp": LAST, "tcp_original": SIDES[0], "tcp_reply": SIDES[1],
    "adjust_original": (1, -2, 3), "adjust_reply": (4, 5, -6), "master": Id(ID, CREATOR),
    "synproxy": (1, 2, 3), "ids": (1, 2, 3, 4), "start": 10**18, "other_side": bytes(16),
    "half_of": Id(ID, CREATOR), "in_use": 1, 99: b"later",
})  # fmt: skip


def test_the_messages_of_linux() -> None:
    state = {"id": ID, "creatorid": CREATOR, "status": 0xE, "timeout": 30, "age": 5}
    translated = Tuple("198.51.100.1", 53, "203.0.113.1", 4000)
    six = Tuple("2001:db8::1", 1024, "2001:db8::2", 80)
    gre = Tuple("192.0.2.1", 1, "198.51.100.1", 2)
    compact = [
        Compact(original=UDP, reply=translated, confirm=True, **state),
        Compact(original=six, proto=6, tcp=(LAST, SIDES), values={"mark": 7}, **state),
        Compact(original=gre, proto=47, values={"gre": (30, 180)}, in_use=False, **state),
    ]
    expectation = Expectation(
        Id(ID, CREATOR), 1, source="192.0.2.1", destination="198.51.100.1", helper="ftp"
    )
    frames = [
        frame((Action.EXTRA, EXTRA), (Action.INS, State.of(UDP, id=ID, creatorid=CREATOR))),
        frame((Action.EXTRA, GREETING)),
        frame((Action.NUMBER, FrameNumber(CREATOR, 5)), *((Action.COMPACT, it) for it in compact)),
        frame((Action.ARRIVED, Confirmation(CREATOR, 5, frozenset({0, 2, 33})))),
        frame((Action.EXPECT, expectation)),
    ]
    names = (
        "attribute", "helper", "mark", "zone", "status", "start", "tcp.state", "tcp.td_end",
        "tcp.seq", "adjust.before", "src", "dst", "src6", "reply_dst", "reply_dport", "confirm",
        "last_seen", "number", "arrived", "gre.timeout", "expect.helper", "master.id", "unknown",
    )  # fmt: skip
    found = dissect([pfsync(it) for it in frames], *(f"pfsync.{name}" for name in names))
    assert all(it["expert"] == [] for it in found)
    extra, greeting, told, arrived, expected = (
        {name: it[f"pfsync.{name}"] for name in names} for it in found
    )
    assert [it["info"] for it in found] == [
        ["EXTRA x1, INS x1"], ["EXTRA x1"], ["NUMBER x1, COMPACT x1, COMPACT x1, COMPACT x1"],
        ["ARRIVED x1"], ["EXPECT x1"],
    ]  # fmt: skip
    kinds = [w.TYPES.get(name, name) for name in EXTRA.values]
    assert extra["attribute"] == [str(kind) for kind in kinds]
    assert (extra["helper"], extra["mark"], extra["zone"]) == (["ftp"], ["0x00000010"], ["5"])
    assert extra["status"] == ["0x0000002e"] and extra["start"] == [str(10**18)]
    assert extra["tcp.state"] == ["3"] and extra["tcp.td_end"] == ["1000", "5000"]
    assert extra["tcp.seq"] == ["11"] and extra["adjust.before"] == ["-2", "5"]
    assert extra["master.id"] == [ID_SHOWN] and extra["unknown"] == [b"later".hex()]
    assert greeting["attribute"] == [str(w.TYPES["compact"])]
    assert told["src"] == ["192.0.2.1"] * 2 and told["src6"] == ["2001:db8::1"]
    assert (told["reply_dst"], told["reply_dport"]) == (["203.0.113.1"], ["4000"])
    assert told["confirm"] == ["True", "False", "False"]
    assert told["last_seen"] == ["True", "True", "False"]
    assert told["tcp.state"] == ["3"] and told["tcp.td_end"] == ["1000", "5000"]
    assert told["tcp.seq"] == ["11"] and told["mark"] == ["0x00000007"]
    assert told["gre.timeout"] == ["30"] and told["number"] == ["5"]
    assert arrived["arrived"] == ["0x00000005", "0x00000002"] and arrived["number"] == ["5"]
    assert expected["expect.helper"] == ["ftp"] and expected["master.id"] == [ID_SHOWN]


def test_what_nobody_should_send() -> None:
    """Whatever comes, the script has no error; what is too short is called so."""
    chance = random.Random(7)
    tcp = Compact(ID, CREATOR, UDP, 6, tcp=(LAST, SIDES), values={"mark": 7})
    whole = [
        frame((Action.EXTRA, EXTRA), (Action.INS, State.of(UDP, id=ID, creatorid=CREATOR))),
        frame((Action.NUMBER, FrameNumber(CREATOR, 5)), (Action.COMPACT, tcp)),
        frame((Action.ARRIVED, Confirmation(CREATOR, 5, frozenset({0})))),
    ]
    broken = []
    for data in whole:
        broken += [data[:length] for length in range(0, len(data), 5)]
        for _ in range(100):
            some = bytearray(data)
            for _ in range(chance.randrange(1, 4)):
                some[chance.randrange(len(some))] = chance.randrange(256)
            broken.append(bytes(some))
    # a message that says that it is shorter than its attributes
    cut = bytearray(frame((Action.EXTRA, Extra(ID, CREATOR, {"mark": 7}))))
    cut[20 + 4 + 13] = 200
    frames = [pfsync(bytes(cut)), *map(pfsync, broken)]
    good = c.Advertisement().payload() + trailer()
    frames += [c.frame(good[:length]) for length in range(len(good))]
    found = dissect(frames)
    assert found[0]["expert"] == ["A length exceeds what is there"]


# -- what hosts send


@pytest.mark.usefixtures("pfsync")
def test_what_hosts_send(world: World) -> None:
    pair = Pair(world)
    capture = pair.a.capture("eth2", "ip proto 240")
    flow = Datagrams(pair.client, pair.server, SERVER, 5000)
    flow.exchange()
    pair.wait_same(proto=17)
    (state,) = (
        it
        for it in json.loads(pair.a.run("carpctl", "states", "--json").stdout)
        if it["protocol"] == "udp"
    )
    wait_for(lambda: len(capture.packets()) >= 2, 3, "something was said")
    found = dissect(
        [packet.data for packet in capture.packets()],
        "pfsync.action", "pfsync.id", "pfsync.src", "pfsync.dport",
    )  # fmt: skip
    actions = {action for it in found for action in it["pfsync.action"]}
    assert {str(int(it)) for it in (Action.NUMBER, Action.COMPACT, Action.ARRIVED)} <= actions
    (told,) = (it for it in found if pair.client.address in it["pfsync.src"])
    assert f"0x{state['id']}" in told["pfsync.id"] and "5000" in told["pfsync.dport"]
    assert all(it["expert"] == [] for it in found)


def test_the_recipes_for_tcpdump(tmp_path: Path) -> None:
    """Those of docs/looking.md find what they say."""
    text = Path("/usr/share/doc/carp/looking.md").read_text()
    recipes = [line.split("'")[1] for line in text.splitlines() if "tcpdump -ni" in line]
    name = Id(ID, CREATOR)
    frames = [
        c.Advertisement().frame(),
        c.Advertisement(demote=3).frame(),
        c.Advertisement(advskew=255, advbase=255).frame(),
        pfsync(frame((Action.DEL_C, name))),
        pfsync(frame((Action.BUS, w.Bulk(CREATOR, w.Bulk.END)))),
    ]
    path = tmp_path / "frames.pcap"
    write_pcap(path, frames)
    found = {}
    for recipe in recipes:
        shown = run(("tcpdump", "-tttnr", str(path), recipe)).stdout
        found[recipe] = len(shown.splitlines())
    assert sorted(found.values()) == [1, 1, 2, 5], found
