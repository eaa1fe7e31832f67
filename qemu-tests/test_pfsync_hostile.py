# SPDX-License-Identifier: GPL-2.0
"""Any frames at all: counted, dropped, nothing else."""

from __future__ import annotations

import dataclasses
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lib import conntrack, kernel
from lib import pfsync as p
from lib import pfsync_wire as w
from lib.clock import busy, wait_for
from lib.frames import checksum
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import Lan
from lib.pfsync import CREATOR, Peer
from lib.pfsync_wire import Action, frame
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

FLOOD = "/carp/bin/flood"
EXACT, FLIPPED = kernel.times(80_000), kernel.times(20_000)
OLD = (1, 3, 8, 9, 11, 12)
"""Actions that are not in use any more, or never were."""
UDP = ("192.0.2.1", 1024, "198.51.100.1", 53)

STATE = w.State.of(UDP, creatorid=CREATOR, src=w.Peer(state=2), dst=w.Peer(state=2))
TCP = w.State.of(
    UDP, proto=6, creatorid=CREATOR, id=b"tcptcptc", timeout=2,
    src=w.Peer(1, 70000, 512, 0, 4, 0x87), dst=w.Peer(9, 70000, 512, 0, 4, 0x87),
)  # fmt: skip
NAME = w.Id(b"nonesuch", b"none")


@pytest.fixture
def peer(lan: Lan) -> Iterator[Peer]:
    """b, with which a's pfsync0 has met."""
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        yield peer


# -- one by one


def bad_values() -> dict[str, w.State]:
    key = STATE.key[0]
    six = w.State.of(("2001:db8::1", 7, "2001:db8::2", 8))
    return {
        "timeout 20": STATE.but(timeout=20),
        "timeout 255": STATE.but(timeout=255),
        "source 13": STATE.but(src=w.Peer(state=13)),
        "destination 255": STATE.but(dst=w.Peer(state=255)),
        "direction 3": STATE.but(direction=3),
        "family 10": STATE.but(family=10),
        "family 0": STATE.but(family=0),
        "key of IPv6": STATE.but(key=(w.Key(key.addr, key.port, family=10), STATE.key[1])),
        "one key of none": six.but(key=(six.key[0], w.Key(family=0))),
    }


@pytest.mark.parametrize("case", bad_values())
def test_bad_values(lan: Lan, peer: Peer, case: str) -> None:
    """Those that are refused of an INS; and of an update, where it has them."""
    state = bad_values()[case]
    for action in (Action.INS, Action.UPD):
        counted = p.counted(lan.a, peer.sends(frame((action, state))))
        assert counted == {"ipackets": 1, "badval": 1}
    good = frame((Action.INS, state), (Action.INS, STATE))
    assert p.counted(lan.a, peer.sends(good)) == {"ipackets": 1, "badval": 1, "inserted": 1}
    if "timeout" in case or "source" in case or "destination" in case:
        update = w.Update(STATE.id, CREATOR, state.src, state.dst, state.timeout)
        counted = p.counted(lan.a, peer.sends(frame((Action.UPD_C, update))))
        assert counted == {"ipackets": 1, "badval": 1}


def cut(data: bytes, length: int, claim: int | None = None) -> bytes:
    """The first bytes of a frame, which claims to be as long as it is, or so long."""
    data = data[:length]
    return data[:2] + struct.pack("!H", length if claim is None else claim) + data[4:]


def section(action: int, words: int, count: int, body: bytes = b"") -> bytes:
    data = struct.pack("!BBH", action, words, count) + body
    return struct.pack("!BBH16s", 6, 0, 20 + len(data), bytes(16)) + data


INSERT = frame((Action.INS, STATE))
CASES: dict[str, tuple[bytes, dict[str, int]]] = {
    "nothing": (b"", {"hdrops": 1}),
    "short": (INSERT[:19], {"hdrops": 1}),
    "version 5": (b"\5" + INSERT[1:], {"badver": 1}),
    "version 0": (bytes(40), {"badver": 1}),
    "shorter than it says": (INSERT[:-1], {"badlen": 1}),
    "length 19": (cut(INSERT, len(INSERT), 19), {"badlen": 1}),
    "length 0": (cut(INSERT, len(INSERT), 0), {"badlen": 1}),
    "a header alone": (cut(INSERT, 20), {}),
    "half a section's header": (cut(INSERT, 23), {}),
    "a section that is cut": (cut(INSERT, 200), {"badlen": 1}),
    "more messages than there are": (section(13, 66, 2, STATE.pack()), {"badlen": 1}),
    "65,535 messages": (section(7, 255, 65535, bytes(1020)), {"badlen": 1}),
    "65,535 empty ones": (section(13, 0, 65535), {"skipped": 1}),
    "none": (section(13, 66, 0), {}),
    "too short ones": (section(13, 65, 1, bytes(260)), {"skipped": 1}),
    "unknown": (section(99, 1, 1, bytes(4)), {"skipped": 1}),
    "unknown and empty": (section(99, 0, 0), {"badact": 1}),
    "unknown and empty, then more": (section(99, 9, 0) + INSERT[20:], {"badact": 1}),
    **{f"old {a}": (section(a, 1, 1, bytes(4)), {"skipped": 1}) for a in OLD},
    **{f"old {a} and empty": (section(a, 0, 0), {"skipped": 1}) for a in OLD},
    "a name that is not here": (frame((Action.UPD_REQ, NAME)), {"badstate": 1}),
    "deleted before": (frame((Action.DEL_C, NAME)), {}),
    "confirmed by mistake": (frame((Action.INS_ACK, NAME)), {}),
    "nobody's": (frame((Action.CLR, w.Clear(b"none"))), {}),
    "no creator": (frame((Action.INS, STATE.but(creatorid=bytes(4)))), {"badstate": 1}),
    "expected of nobody": (
        frame((Action.EXPECT, w.Expectation(NAME, 1))), {"badstate": 1},
    ),
    "expected nonsense": (section(194, 42, 1, b"\xff" * 168), {"badval": 1}),
    "a bulk update of another kind": (frame((Action.BUS, w.Bulk(CREATOR, 77))), {}),
    "beside nothing": (section(193, 3, 1, bytes(12)), {}),
}  # fmt: skip


@pytest.mark.parametrize("first", range(0, len(CASES), 12))
def test_each_has_its_counter(lan: Lan, peer: Peer, first: int) -> None:
    before = conntrack.entries(lan.a)
    for case, (data, expected) in list(CASES.items())[first : first + 12]:
        counted = p.counted(lan.a, peer.sends(data), pause=0.002)
        assert counted == {"ipackets": 1, **expected}, case
    assert conntrack.entries(lan.a) == before
    assert not peer.collect(3)


def test_a_state_that_cannot_expect_anything(lan: Lan, peer: Peer) -> None:
    """It has no helper here, or that does not do what the peer's does."""
    peer.send(INSERT)
    expected = w.Expectation(
        w.Id(STATE.id, CREATOR), 1, True, 17, "192.0.2.1", "198.51.100.1", timeout=60
    )
    counted = p.counted(lan.a, peer.sends(frame((Action.EXPECT, expected))))
    assert counted == {"ipackets": 1, "badstate": 1}
    gone = dataclasses.replace(expected, present=False)
    assert p.counted(lan.a, peer.sends(frame((Action.EXPECT, gone)))) == {"ipackets": 1}


def test_ttl_and_interface(world: World, lan: Lan, peer: Peer) -> None:
    """Only from the link, and only over the syncdev."""
    with Peer(lan.b, ttl=254) as far:
        counted = p.counted(lan.a, far.sends(INSERT))
        assert counted == {"ipackets": 1, "badttl": 1}
    world.cable(lan.a, "eth9", lan.client, "eth9")
    for host, number in ((lan.a, 1), (lan.client, 2)):
        host.ip_batch(
            "link set eth9 up",
            f"addr add 10.9.0.{number}/24 dev eth9",
            f"addr add fd09::{number}/64 dev eth9 nodad",
        )
    for address, name in (("10.9.0.1", "ipackets"), ("fd09::1", "ipackets6")):
        with Peer(lan.client, "eth9", address) as other:
            counted = p.counted(lan.a, other.sends(INSERT))
            assert counted == {name: 1, "badif": 1}
    assert conntrack.entry(lan.a, original=STATE.tuples()[0]) is None
    # nor while there is no syncdev, or the interface is down
    p.change(lan.a, "-syncdev")
    assert p.counted(lan.a, peer.sends(INSERT)).get("inserted") is None
    p.change(lan.a, "syncdev eth0")
    lan.a.ip("link", "set", "pfsync0", "down")
    assert p.counted(lan.a, peer.sends(INSERT)).get("inserted") is None


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_only_the_syncpeer_is_heard(lan: Lan, six: bool) -> None:
    """By unicast; nobody else, and nothing that is for the group."""
    name = "ipackets6" if six else "ipackets"
    a, b = (lan.a.address6, lan.b.address6) if six else (lan.a.address, lan.b.address)
    with Peer(lan.b, peer=a) as peer, Peer(lan.client, peer=a) as other, Peer(lan.b) as group:
        p.meet(lan.a, peer, f"syncpeer {b}")
        assert p.counted(lan.a, other.sends(INSERT)) == {name: 1, "badauth": 1}
        assert p.counted(lan.a, group.sends(INSERT)) == {"ipackets": 1, "badauth": 1}
        assert conntrack.entry(lan.a, original=STATE.tuples()[0]) is None
        assert p.counted(lan.a, peer.sends(INSERT)) == {name: 1, "inserted": 1}
        p.change(lan.a, "-syncpeer")
        removal = frame((Action.DEL_C, w.Id(STATE.id, CREATOR)))
        assert p.counted(lan.a, other.sends(removal)).get("deleted") == 1


def test_a_peer_of_version_5(lan: Lan, peer: Peer) -> None:
    """FreeBSD beside us: what it says is counted, and everything else goes on."""
    with Peer(lan.client, peer=lan.a.address) as freebsd:
        for _ in range(50):
            freebsd.send(b"\5" + INSERT[1:], *(section(a, 1, 1, bytes(4)) for a in OLD))
        peer.send(frame((Action.INS, STATE.but(state_flags=w.ACK))))
        assert peer.wait(Action.INS_ACK)
    counted = p.stats(lan.a)
    assert (counted["badver"], counted["skipped"], counted["inserted"]) == (50, 300, 1)


# -- a hundred thousand

Built = tuple[bytes, dict[str, int]]


class Generator:
    """Makes frames to the group, and says under which counters they will be found."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.headers: dict[tuple[int, int], bytes] = {}
        self.good = frame(
            (Action.INS, STATE, TCP),
            (Action.UPD_C, w.Update(STATE.id, CREATOR)),
            (Action.DEL_C, NAME),
        )

    def packet(self, payload: bytes, ttl: int = 255) -> bytes:
        """Around a payload; the headers are kept, for each costs a checksum."""
        key = len(payload), ttl
        if key not in self.headers:
            ip = struct.pack(
                "!BBHHHBBH4s4s", 0x45, 0x10, 20 + len(payload), 0, 0x4000, ttl, 240, 0,
                bytes([10, 0, 0, 77]), socket.inet_aton(p.GROUP),
            )  # fmt: skip
            ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
            self.headers[key] = p.GROUP_MAC + bytes.fromhex("02000000004d0800") + ip
        return self.headers[key] + payload

    # each of these returns a frame and its counters

    def noise(self) -> Built:
        data = self.random.randbytes(self.random.randrange(100))
        if len(data) < 20:
            return self.packet(data), {"hdrops": 1}
        return self.packet(b"\7" + data[1:]), {"badver": 1}

    def truncated(self) -> Built:
        length = self.random.randrange(len(self.good))
        return self.packet(self.good[:length]), {"hdrops" if length < 20 else "badlen": 1}

    def far(self) -> Built:
        return self.packet(self.good, self.random.randrange(1, 255)), {"badttl": 1}

    def other_version(self) -> Built:
        version = self.random.choice((0, 1, 5, 7, 255))
        return self.packet(bytes([version]) + self.good[1:]), {"badver": 1}

    def huge(self) -> Built:
        action = self.random.choice((0, 2, 4, 5, 6, 7, 10, 13, 14, 15, 193, 194, 77))
        data = section(
            action, self.random.randrange(70, 256), self.random.randrange(9, 65536),
            self.random.randbytes(self.random.randrange(200)),
        )  # fmt: skip
        return self.packet(data), {"badlen": 1}

    def wrong_value(self) -> Built:
        data = bytearray(STATE.pack())
        offset, least = self.random.choice(((255, 20), (128, 13), (160, 13), (252, 3), (250, 25)))
        data[offset] = self.random.randrange(least, 256)
        data[:8] = self.random.randbytes(8)
        action = self.random.choice((13, 14))
        return self.packet(section(action, 66, 1, data)), {"badval": 1}

    def unknown(self) -> Built:
        # 198 is not skipped: it says who has sent the frame
        action = self.random.choice((*OLD, *range(16, 193), *range(199, 256)))
        words, count = self.random.randrange(1, 9), self.random.randrange(1, 9)
        data = section(action, words, count, self.random.randbytes(words * 4 * count))
        return self.packet(data), {"skipped": 1}

    def too_short(self) -> Built:
        action, most = self.random.choice(((13, 66), (14, 66), (4, 21), (6, 66), (7, 3), (2, 3)))
        words = self.random.randrange(most)
        return self.packet(section(action, words, 1, bytes(words * 4))), {"skipped": 1}

    def of_nobody(self) -> Built:
        names = self.random.randbytes(12 * 3)
        action = self.random.choice((2, 5, 7))
        counted = {"badstate": 3} if action == 5 else {}
        return self.packet(section(action, 3, 3, names)), counted

    def no_creator(self) -> Built:
        data = bytearray(STATE.pack())
        data[:8] = self.random.randbytes(8)
        data[236:240] = bytes(4)
        return self.packet(section(13, 66, 1, data)), {"badstate": 1}

    def beside(self) -> Built:
        """Attributes that mean nothing, of a state that is not there."""
        body = self.random.randbytes(12 + 4 * self.random.randrange(20))
        data = section(193, len(body) // 4, 1, body)
        return self.packet(data), {}

    def exact(self, count: int) -> Iterator[Built]:
        kinds: tuple[Callable[[], Built], ...] = (
            self.noise, self.truncated, self.far, self.other_version, self.huge,
            self.wrong_value, self.unknown, self.too_short, self.of_nobody, self.no_creator,
            self.beside,
        )  # fmt: skip
        for i in range(count):
            yield kinds[i % len(kinds)]()

    def flipped(self, count: int) -> Iterator[bytes]:
        """Good frames with up to three bits flipped: some are good still, of a state that
        nobody has."""
        for _ in range(count):
            data = bytearray(self.good)
            for _ in range(self.random.randrange(1, 4)):
                data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
            yield self.packet(bytes(data))


def flood(host: Host, frames: list[bytes], path: Path) -> None:
    path.write_bytes(b"".join(struct.pack("=H", len(data)) + data for data in frames))
    assert int(host.run(FLOOD, "eth0", str(path)).stdout) == len(frames)
    time.sleep(0.1)


def slab() -> int:
    """Kilobytes of objects that the kernel will not give back."""
    Path("/proc/sys/vm/stat_refresh").read_text()
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("SUnreclaim"))


def test_a_hundred_thousand_frames(
    lan: Lan,
    peer: Peer,
    log: Kmsg,
    tmp_path: Path,
    seed: int,
    figure: Callable[[str, float, str], None],
) -> None:
    """Each is found in a counter where it belongs, no connection changes, nobody logs, and
    no memory is kept."""
    lan.a.sysctl("net.netfilter.nf_conntrack_udp_timeout", 6000)
    # pf was there before: hosts beside it have two names for each connection
    peer.send(frame((Action.INS, STATE)), frame((Action.DEL_C, STATE.name)))
    sockets = [lan.client.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
    for s in sockets:
        s.sendto(b"x", (lan.a.address, 9))
    for received in peer.collect(1.1):
        names = [state.name for state in received.frame.states()]
        peer.send(frame((Action.INS_ACK, *names)))
    peer.collect(3)
    peer.close()

    def ours() -> dict[Any, Any]:
        return {
            entry["original"]: {**entry, "timeout": 0}
            for entry in conntrack.entries(lan.a)
            if entry["original"].source == lan.client.address
        }

    connections = ours()
    assert len(connections) >= 20
    generator = Generator(seed)
    built = list(generator.exact(EXACT))
    flipped = list(generator.flipped(FLIPPED))
    log.read()
    kept = []
    for half in (built[: EXACT // 2], built[EXACT // 2 :]):
        before = p.stats(lan.a)
        flood(lan.client, [data for data, _ in half], tmp_path / "frames")
        after = p.stats(lan.a)
        expected = Counter({"ipackets": len(half)})
        for _, counters in half:
            expected.update(counters)
        counted = {name: after[name] - before[name] for name in after}
        assert {name: n for name, n in counted.items() if n} == expected
        kept.append(slab())
    growth = kept[1] - kept[0]
    figure("slab after 40,000 more hostile frames", growth, "kB more")
    # KASAN keeps what was freed for a while
    assert growth < 150 or kernel.looks_for_mistakes()

    before = p.stats(lan.a)
    flood(lan.client, flipped, tmp_path / "frames")
    assert p.stats(lan.a)["ipackets"] - before["ipackets"] == FLIPPED
    assert ours() == connections
    # Of conflicts, and of what is not taken, the log tells, some in five seconds.
    lines = log.read()
    told = ("a peer has", "is not taken")
    assert len(lines) <= 30 and all(any(word in line for word in told) for line in lines)
    with Peer(lan.b) as peer:
        # all is well, and nothing is left of those that were good by chance
        peer.send(frame((Action.CLR, w.Clear(CREATOR))))
        peer.send(frame((Action.INS, STATE.but(id=b"atlast!!", state_flags=w.ACK))))
        assert peer.wait(Action.INS_ACK, timeout=2).frame.all(Action.INS_ACK)[0].id == b"atlast!!"
    for s in sockets:
        s.close()


# -- names


def chosen(number: int) -> w.Id:
    """Names of several creators that are the same if the two parts are combined as they
    are: turned by 17 bits, exclusive or."""
    turned = number << 17
    return w.Id(struct.pack("<Q", 0x0123456789ABCDEF ^ turned), struct.pack("<I", number))


def ordinary(number: int) -> w.Id:
    """A creator counts."""
    return w.Id(struct.pack("!Q", 1 << 40 | number), CREATOR)


@pytest.mark.figures
def test_a_frame_costs_the_same_whatever_its_names(lan: Lan, peer: Peer) -> None:
    """Nobody can choose names that are all found in one place."""

    def cost(name: Callable[[int], w.Id], network: str) -> float:
        states = [
            w.State.of(
                (network, 1024 + number, "198.51.100.1", 53),
                creatorid=name(number).creatorid, id=name(number).id,
                src=w.Peer(state=2), dst=w.Peer(state=2),
            )
            for number in range(1, 3001)
        ]  # fmt: skip
        before = p.stats(lan.a)["inserted"]
        for at in range(0, len(states), 4):
            peer.send(frame((Action.INS, *states[at : at + 4])))
        wait_for(lambda: p.stats(lan.a)["inserted"] == before + len(states), 30, "a has all")
        names = [name(number) for number in range(1, 111)]
        data = frame((Action.INS_ACK, *names))
        start = busy()
        for _ in range(60):
            peer.send(data)
        time.sleep(0.1)
        return busy() - start

    usual = cost(ordinary, "192.0.2.1")
    # the kernel counts hundredths of a second
    assert cost(chosen, "192.0.2.2") < usual + 0.1
