# SPDX-License-Identifier: GPL-2.0
"""Authentication of whole frames: who is heard, and that recordings are not."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lib import auth_wire, conntrack, kernel
from lib import carp as c
from lib import pfsync as p
from lib import pfsync_auth as auth
from lib import pfsync_wire as w
from lib import traffic as t
from lib.clock import wait_for
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import Lan
from lib.pair import SERVER, Datagrams, Pair, close, exchange
from lib.pfsync import CREATOR
from lib.pfsync_auth import Signing, judged
from lib.pfsync_wire import Action, frame
from lib.router import TOOL, Router
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

FLOOD = "/carp/bin/flood"
FORGED = kernel.times(100_000)
WINDOW = 5
TCP, UDP = 6, 17


def state(number: int = 1, **fields: Any) -> w.State:
    """A state of UDP, one for each number."""
    values = {"src": w.Peer(state=2), "dst": w.Peer(state=1), "creatorid": CREATOR, **fields}
    return w.State.of(
        ("192.0.2.1", 1024 + number, "198.51.100.1", 53),
        id=number.to_bytes(8),
        expire=600,
        **values,
    )


def insert(*numbers: int) -> bytes:
    return frame((Action.INS, *map(state, numbers)))


def entries(host: Host) -> int:
    """How many of those states the host has."""
    found = conntrack.entries(host, proto=UDP)
    return len([entry for entry in found if entry["original"].dport == 53])


@pytest.fixture
def peer(lan: Lan) -> Iterator[Signing]:
    """b, with which a's pfsync0 has met, in mode enforce."""
    with Signing(lan.b) as peer:
        peer.meet(lan.a)
        yield peer


# -- what is set


def test_words(lan: Lan) -> None:
    """They come back, keys without what is secret; what does not go together is refused, and
    then nothing of it is done."""
    p.create(lan.a, up=False)
    shown = p.info(lan.a)
    assert (shown["auth"], shown["authwindow"]) == ("off", WINDOW)
    assert "authkeys" not in shown or shown["authkeys"] == []
    for line, why in {
        "auth enforce": "need an active key",
        "auth receive": "needs a key",
        f"authkey 2 {auth.key_file(2)} authactive 1": "there is no authkey 1",
        "authwindow 301": "",
    }.items():
        said = lan.a.refused("ip", "link", "set", "pfsync0", "type", "pfsync", *line.split())
        assert why in said
    assert p.info(lan.a)["auth"] == "off" and not p.info(lan.a).get("authkeys")
    auth.change(lan.a, "enforce", keys=(1, 2), active=2)
    p.change(lan.a, "authwindow 20 authmonotonic")
    shown = p.info(lan.a)
    assert (shown["auth"], shown["authactive"], shown["authwindow"]) == ("enforce", 2, 20)
    assert shown["authkeys"] == [1, 2] and shown["authmonotonic"]
    assert auth.KEYS[1].hex() not in str(shown)
    assert "the active one" in lan.a.refused(
        "ip", "link", "set", "pfsync0", "type", "pfsync", "-authkey", "2"
    )
    p.change(lan.a, "auth off -authactive -authkey 2")
    assert p.info(lan.a)["authkeys"] == [1]


# -- who is heard


@pytest.mark.parametrize("way", ["group", "syncpeer", "IPv6"])
def test_states_are_synchronised(world: World, way: str) -> None:
    """In enforce as ever, and each frame is signed, for the source that it has."""
    pair = Pair(world, start=False)
    for host, number in ((pair.a, 3), (pair.b, 2)):
        peer = {"group": "", "syncpeer": f"172.16.0.{number}", "IPv6": f"fd03::{number}"}[way]
        host.ip("addr", "add", f"fd03::{5 - number}/64", "dev", "eth2", "nodad")
        words = f"syncpeer {peer} {auth.words()}" if peer else auth.words()
        p.create(host, words, syncdev="eth2", local=False, up=False)
    capture = pair.a.capture("eth2")
    for host in pair.hosts:
        host.ip("link", "set", "pfsync0", "up")
    for host in pair.hosts:
        p.wait_bulk(host)
    mine, theirs = t.connect(pair.client, pair.server, SERVER, 5001)
    pair.wait_same(tcp="ESTABLISHED")
    pair.via(pair.b)
    exchange(mine, theirs)
    close(mine, theirs)
    time.sleep(2)
    frames = p.heard(capture.packets())
    assert len(frames) > 6
    numbers: dict[str, list[int]] = {}
    for received in frames:
        assert received.frame.actions[-1] == auth_wire.ACTION
        assert auth_wire.verify_frame(auth.KEYS[1], received.source, received.data)
        assert not auth_wire.verify_frame(auth.KEYS[2], received.source, received.data)
        trailer = auth_wire.frame_trailer(received.data)
        assert trailer and trailer.key_id == 1
        numbers.setdefault(received.source, []).append(trailer.sequence)
    assert len(numbers) == 2
    for of_one in numbers.values():
        assert of_one == sorted(set(of_one))
    for host in pair.hosts:
        assert judged(host).keys() == {"good"}
        assert p.stats(host)["badauth"] == 0


FORGERIES: dict[str, Callable[[Signing, bytes], bytes]] = {
    "good": lambda peer, data: peer.sign(data),
    "missing": lambda _, data: data,
    "malformed": lambda peer, data: peer.sign(data, replace(peer.number(), type=2)),
    "unknown_key": lambda peer, data: peer.sign(data, replace(peer.number(), key_id=7)),
    "bad_hmac": lambda peer, data: peer.sign(data, key=auth.KEYS[3]),
}
"""Frames by what is to be found of them."""


@pytest.mark.parametrize("mode", auth_wire.MODES)
def test_modes(lan: Lan, mode: str, log: Kmsg) -> None:
    """What each mode makes of frames of all kinds: off looks at nothing, receive counts,
    permissive believes those without a section, enforce only the good ones."""
    believed = {"off": FORGERIES, "receive": FORGERIES, "permissive": ("good", "missing")}
    with Signing(lan.b) as peer:
        peer.meet(lan.a, words=auth.words(mode))
        log.read()
        for number, (what, forge) in enumerate(FORGERIES.items(), 1):
            counted = p.counted(lan.a, peer.sends(forge(peer, insert(number))))
            expected = {"ipackets": 1}
            if mode != "off":
                expected[f"auth_{what}"] = 1
            if what in believed.get(mode, ("good",)):
                expected["inserted"] = 1
            else:
                expected["badauth"] = 1
            assert counted == expected
    lines = [line for line in log.read() if "dropped" in line]
    dropped = len(FORGERIES) - len(believed.get(mode, ("good",)))
    assert len(lines) == dropped
    assert all("pfsync0: frame from 10.0.0.3 dropped: it" in line for line in lines)
    if mode == "enforce":
        assert any("10.0.0.3 dropped: it has no authentication" in line for line in lines)


def test_peer_that_does_not_know(world: World) -> None:
    """A peer in mode off steps over the section: states go both ways, it counts nothing."""
    pair = Pair(world, start=False)
    for host in pair.hosts:
        words = auth.words("permissive") if host is pair.a else ""
        p.create(host, words, syncdev="eth2", local=False)
    for host in pair.hosts:
        p.wait_bulk(host)
    flow = Datagrams(pair.client, pair.server, SERVER, 5004)
    flow.exchange()
    pair.wait_same(proto=UDP)
    pair.via(pair.b)
    mine, theirs = t.connect(pair.client, pair.server, SERVER, 5001)
    pair.wait_same(tcp="ESTABLISHED")
    stats = p.stats(pair.b)
    wrong = {"badauth", "badact", "badlen", "badval", "badstate", "skipped"}
    assert not any(stats[name] for name in wrong)
    assert not judged(pair.b)
    assert judged(pair.a).keys() == {"missing"}
    close(mine, theirs)
    flow.close()


# -- recordings and forgeries


def test_recordings(world: World) -> None:
    """A frame that told of a state tells of it once: not at once, not after the window, and
    not in the name of another one."""
    pair = Pair(world, words=auth.words())
    pair.via(pair.b)
    capture = pair.a.capture("eth2", "ip proto 240 and src 172.16.0.3")
    flow = Datagrams(pair.client, pair.server, SERVER, 5004)
    flow.exchange()
    pair.wait_same(proto=UDP)
    recorded = [packet.data for packet in capture.packets()]
    flow.close()
    for host in (pair.b, pair.a):
        host.run("conntrack", "-D", "-p", "udp")
    pair.wait_gone(3, proto=UDP)

    def replay() -> None:
        for data in recorded:
            pair.b.send_frame(data, "eth2")

    counted = p.counted(pair.a, replay)
    assert counted.pop("auth_replayed") == len(recorded)
    assert counted["badauth"] == len(recorded) and "inserted" not in counted
    time.sleep(WINDOW + 1)
    counted = p.counted(pair.a, replay)
    assert counted["auth_stale"] == len(recorded) and "inserted" not in counted
    assert conntrack.entry(pair.a, proto=UDP) is None
    # and in another one's name
    with Signing(pair.a) as stranger:
        stranger.address = "172.16.0.9"
        data = stranger.sign(insert(1))
    for source, what in (("172.16.0.8", "bad_hmac"), ("172.16.0.9", "good")):
        packet = c.frame(
            data, source=source, destination=p.GROUP, ttl=p.TTL, to=p.GROUP_MAC, protocol=p.PROTOCOL
        )
        counted = p.counted(pair.a, lambda packet=packet: pair.b.send_frame(packet, "eth2"))
        assert counted[f"auth_{what}"] == 1


def test_clock(lan: Lan, peer: Signing, log: Kmsg) -> None:
    """Frames from a clock beyond the window are stale, before it or behind; a clock that is
    half a window away is told of, once, and that it is close again."""
    log.read()
    # the last one comes after others, but is new
    for seconds, what in ((-6, "stale"), (6, "stale"), (3, "good"), (3.5, "good"), (0.1, "good")):
        number = peer.number()
        moved = peer.numbered(number.sequence + int(seconds * 2**32))
        data = peer.sign(insert(1), moved)
        assert p.counted(lan.a, peer.sends(data))[f"auth_{what}"] == 1
    lines = [line for line in log.read() if "the clock of 10.0.0.3" in line]
    assert len(lines) == 2
    assert "ms ahead of ours" in lines[0] and "close to ours again" in lines[1]


def test_out_of_order(lan: Lan, peer: Signing) -> None:
    """1,000 frames that overtake each other are all believed, and none a second time; one that
    1,024 later ones have come before is not."""
    start = peer.number().sequence
    request = frame((Action.DEL_C, state(1).name))
    frames = [peer.sign(request, peer.numbered(start + number)) for number in range(1, 1001)]
    random.Random(1).shuffle(frames)
    counted = p.counted(lan.a, peer.sends(*frames), pause=0.3)
    assert counted == {"ipackets": 1000, "auth_good": 1000}
    counted = p.counted(lan.a, peer.sends(*frames[:100]))
    assert counted == {"ipackets": 100, "auth_replayed": 100, "badauth": 100}
    late = peer.sign(request, peer.numbered(start + 1001))
    more = [peer.sign(request, peer.numbered(start + number)) for number in range(1002, 2027)]
    counted = p.counted(lan.a, peer.sends(*more, late), pause=0.3)
    assert counted["auth_good"] == 1025 and counted["auth_stale"] == 1


def test_bits(lan: Lan, peer: Signing) -> None:
    """A frame in which one bit is another one does nothing, whichever it is."""
    whole = peer.sign(insert(1))
    bits = range(len(whole) * 8)
    if kernel.looks_for_mistakes():
        bits = random.Random(2).sample(bits, 300)
    before = p.stats(lan.a)
    for bit in bits:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        peer.send(bytes(flipped))
    time.sleep(0.1)
    after = p.stats(lan.a)
    counted = {name: value - before[name] for name, value in after.items()}
    assert counted["inserted"] == counted["updated"] == counted["auth_good"] == 0
    early = sum(counted[name] for name in ("badver", "badlen", "hdrops"))
    assert early + counted["badauth"] == counted["ipackets"] == len(bits)
    assert entries(lan.a) == 0
    # the window has not moved
    peer.send(whole)
    wait_for(lambda: entries(lan.a) == 1, 1, "the frame is believed as it was")


def test_forgeries(
    make_lan: Callable[..., Lan], tmp_path: Path, figure: Callable[[str, float, str], None]
) -> None:
    """Of 100,000 frames in the name of a peer, with good numbers and bad HMACs, none is carried
    out; the peers go on meanwhile."""
    lan = make_lan(3)
    a, b, forger = lan.hosts
    for host in (a, b):
        p.create(host, auth.words())
    for host in (a, b):
        p.wait_bulk(host)
    with Signing(forger, source=b.address) as mallory:

        def forge() -> bytes:
            data = mallory.sign(insert(mallory.number().counter), key=auth.KEYS[3])
            return c.frame(
                data, source=b.address, destination=p.GROUP, ttl=p.TTL, to=p.GROUP_MAC,
                protocol=p.PROTOCOL,
            )  # fmt: skip

        sent, path, rounds = 0, tmp_path / "forged", 0
        start = time.monotonic()
        spent = 0.0
        while sent < FORGED:
            frames = [forge() for _ in range(50)] * 50
            path.write_bytes(b"".join(struct.pack("=H", len(data)) + data for data in frames))
            begin = time.monotonic()
            assert int(forger.run(FLOOD, "eth0", str(path)).stdout) == len(frames)
            spent += time.monotonic() - begin
            sent += len(frames)
            rounds += 1
            conntrack.restore(b, rounds * 5)
        print(f"{sent} frames in {time.monotonic() - start:.1f} s")
    time.sleep(1.5)
    stats = p.stats(a)
    assert stats["badauth"] == sent
    # all were known by their numbers to be no recordings
    assert stats["auth_bad_hmac"] == sent
    assert stats["auth_good"] > 0 and stats["bulk_received"] == 1
    assert conntrack.count(a) == conntrack.count(b) >= rounds * 5
    figure("forged frames a second", sent / spent, "")


# -- rolling it out


def opening(router: Router, count: int, rate: int) -> Any:
    """Connections that are opened in the background."""
    return router.client.spawn(
        TOOL, "eth0", router.a.link("eth0").address, "/run/netns/server", "eth0",
        router.a.link("eth1").address, "0", str(count), str(rate),
    )  # fmt: skip


def all_there(router: Router, count: int) -> None:
    """b has each of the connections, and all frames were believed."""
    wait_for(lambda: router.count(router.a) >= count, 20, "all connections are open")
    wait_for(lambda: router.count(router.b) >= count, 5, f"b has all of {count}", interval=0.1)
    for host in (router.a, router.b):
        stats = p.stats(host)
        assert stats["badauth"] == stats["unanswered"] == stats["conflicts"] == 0
    assert p.stats(router.a)["repeated"] == 0


def start(router: Router, words: str) -> None:
    for host in (router.a, router.b):
        p.create(host, words, syncdev="eth2", local=False)
    for host in (router.a, router.b):
        p.wait_bulk(host)


def test_rolling_out_under_load(world: World) -> None:
    """Mode by mode, host by host, and back: no state is lost on the way."""
    router = Router(world)
    start(router, "")
    count = kernel.times(4000)
    program = opening(router, count, kernel.times(500))
    for host in (router.a, router.b):
        auth.change(host, "receive", keys=(1,), active=1)
    for mode in ("permissive", "enforce", "permissive", "receive", "off", "receive"):
        for host in (router.a, router.b):
            time.sleep(0.4)
            auth.change(host, mode)
    assert program.running()
    all_there(router, count)
    assert p.stats(router.b)["auth_good"] > 0


def test_another_key_under_load(world: World) -> None:
    """Added on both hosts, made active on both, then the old one goes: no state is lost."""
    router = Router(world)
    start(router, auth.words())
    count = kernel.times(2000)
    opening(router, count, kernel.times(500))
    steps = (
        f"authkey 2 {auth.key_file(2)}",
        "authactive 2",
        "-authkey 1",
    )
    for step in steps:
        for host in (router.a, router.b):
            time.sleep(0.4)
            p.change(host, step)
    all_there(router, count)
    assert p.info(router.b)["authkeys"] == [2]
    assert judged(router.b).keys() == {"good"}


def test_bulk(world: World) -> None:
    """A host that comes later gets all states; frames are as long as may be, and no longer."""
    router = Router(world)
    count = kernel.times(3000)
    router.connect(0, count)
    p.create(router.a, auth.words(), syncdev="eth2", local=False)
    p.wait_bulk(router.a)
    wait_for(lambda: p.info(router.a)["states"] >= count, 20, "a knows all its states")
    capture = router.b.capture("eth2", "ip proto 240")
    p.create(router.b, auth.words(), syncdev="eth2", local=False)
    p.wait_bulk(router.b)
    packets = capture.packets()
    assert router.count(router.b) >= count
    sizes = [len(packet.data) - 14 for packet in packets]
    assert 1400 < max(sizes) <= 1500
    assert p.stats(router.b)["bulk_received"] == 1 and p.stats(router.b)["badauth"] == 0


def test_host_without_key_has_no_states(world: World) -> None:
    """Its bulk update ends as if it were alone; once it has the key and asks again, all come."""
    router = Router(world)
    router.connect(0, 100)
    p.create(router.a, auth.words(), syncdev="eth2", local=False)
    p.wait_bulk(router.a)
    wait_for(lambda: p.info(router.a)["states"] >= 100, 20, "a knows all its states")
    p.create(router.b, "bulkwait 3", syncdev="eth2", local=False)
    p.wait_bulk(router.b)
    assert router.count(router.b) < 100
    assert judged(router.a).keys() == {"missing"}
    auth.change(router.b, "enforce", keys=(1,), active=1)
    router.b.ip_batch("link set pfsync0 down", "link set pfsync0 up")
    wait_for(lambda: router.count(router.b) >= 100, 20, "b has all states")
