# SPDX-License-Identifier: GPL-2.0
"""Authentication of whole advertisements: what leaves, and what is believed."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lib import auth, kernel
from lib import auth_wire as w
from lib import carp as c
from lib.auth import KEY, OTHER_KEY, Peer
from lib.capture import Packet
from lib.clock import SECOND, busy, wait_for
from lib.frames import checksum
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import VIP, Lan
from lib.peers import Ucarp
from lib.rtnl import NetlinkError

pytestmark = pytest.mark.usefixtures("carp")

HOUR = 3600
YEAR = 365 * 24 * HOUR


def payload(packet: Packet) -> tuple[str, bytes]:
    """The source, and what follows the IP header, of an advertisement."""
    data = packet.data
    if data[12:14] == b"\x08\x00":
        (total,) = struct.unpack_from("!H", data, 16)
        return ".".join(map(str, data[26:30])), data[34 : 14 + total]
    (length,) = struct.unpack_from("!H", data, 18)
    return str(w.IPv6Address(data[22:38])), data[54 : 54 + length]


def verify_all(packets: list[Packet], key: bytes = KEY) -> list[w.Trailer]:
    """All of them have good trailers whose numbers grow."""
    trailers, last = [], {}
    for packet in packets:
        source, data = payload(packet)
        assert len(data) == 64 and w.verify_advertisement(key, source, data)
        assert checksum(data) == 0, "FreeBSD sums all of it"
        trailer = w.advertisement_trailer(data)
        assert trailer is not None
        assert trailer.sequence > last.get(source, 0)
        last[source] = trailer.sequence
        trailers.append(trailer)
    return trailers


def be_master(host: Host, mode: str = "enforce", words: str = "", **options: object) -> None:
    """A master that gives way if it believes Peer()."""
    c.create(host, words, advskew=100)
    auth.start(host, mode, **options)
    c.wait_state(host, "master")


@pytest.fixture(name="master")
def _master(lan: Lan) -> Lan:
    """a is a master that enforces; the client is the attacker."""
    be_master(lan.a)
    return lan


def believes(lan: Lan, *frames: bytes) -> bool:
    """Whether a believes a frame that the client sends."""
    for frame in frames:
        lan.client.send_frame(frame)
    time.sleep(0.02)
    return c.state(lan.a) != "master"


def counted(lan: Lan, *frames: bytes) -> dict[str, int]:
    """What a counts of them."""
    before = auth.counts(lan.a)
    for frame in frames:
        lan.client.send_frame(frame)
    time.sleep(0.02)
    return auth.counted(before, auth.counts(lan.a))


# -- a pair


@pytest.mark.parametrize("monotonic", [False, True], ids=["time", "monotonic"])
def test_a_pair(lan: Lan, monotonic: bool) -> None:
    c.create_pair(lan)
    for host in (lan.a, lan.b):
        auth.start(host, monotonic=monotonic)
    capture = lan.client.capture(only="ip proto 112")
    time.sleep(10)
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    trailers = verify_all(capture.packets())
    assert len(trailers) >= 9 and {it.key_id for it in trailers} == {1}
    now = int(time.time())
    assert all(abs(it.seconds - now) < 15 for it in trailers), "they are the clock"
    heard = auth.counts(lan.b)
    assert heard.pop("good") >= 8 and not any(heard.values())


def test_in_both_families(lan: Lan) -> None:
    c.create_pair(lan, addresses=(f"{VIP}/24", "fd00::1/64"))
    for host in (lan.a, lan.b):
        auth.start(host)
    capture = lan.client.capture(only="ip proto 112 or ip6 proto 112")
    time.sleep(5)
    packets = capture.packets()
    assert {packet.data[12:14] for packet in packets} == {b"\x08\x00", b"\x86\xdd"}
    verify_all(packets)
    heard = auth.counts(lan.b)
    assert heard.pop("good") >= 8 and not any(heard.values())
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")


def test_unicast(lan: Lan) -> None:
    peers = f"{lan.a.address},{lan.b.address}"
    c.create_pair(lan, words=f"carppeer {peers}")
    for host in (lan.a, lan.b):
        auth.start(host)
    capture = lan.b.capture(only="ip proto 112")
    time.sleep(5)
    verify_all(capture.packets())
    heard = auth.counts(lan.b)
    assert heard.pop("good") >= 4 and not any(heard.values())
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")


def test_carpnodes(lan: Lan) -> None:
    """Virtual hosts of an interface have one row of numbers, whoever is master of which."""
    c.create_nodes(lan.a, "1:0,2:100")
    c.create_nodes(lan.b, "1:100,2:0")
    for host in (lan.a, lan.b):
        host.sysctl("net.inet.carp.preempt", 1)
        auth.start(host)
    wait_for(lambda: (c.masters(lan.a), c.masters(lan.b)) == ([1], [2]), 15, "each has one")
    before = [auth.counts(host) for host in (lan.a, lan.b)]
    time.sleep(10)
    assert (c.masters(lan.a), c.masters(lan.b)) == ([1], [2])
    for host, counts in zip((lan.a, lan.b), before, strict=True):
        heard = auth.counted(counts, auth.counts(host))
        assert set(heard) == {"good"} and heard["good"] >= 9


def test_it_ends_with_a_bow_out(lan: Lan) -> None:
    c.create_pair(lan)
    for host in (lan.a, lan.b):
        auth.start(host)
    time.sleep(2)
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", timeout=0.5)


def test_ucarp_does_not_notice(lan: Lan) -> None:
    """It stays backup of a master that sends trailers, and is believed without one."""
    c.create(lan.a)
    auth.start(lan.a, "permissive")
    c.wait_state(lan.a, "master")
    ucarp = Ucarp(lan.b, advskew=100)
    wait_for(ucarp.is_backup, 10, "ucarp on b is backup")
    time.sleep(8)
    assert ucarp.is_backup() and c.state(lan.a) == "master"
    lan.a.ip("link", "set", "carp0", "down")
    wait_for(ucarp.is_master, 2, "ucarp hears our farewell")
    lan.a.ip("link", "set", "carp0", "type", "carp", "advskew", "200")
    lan.a.ip("link", "set", "carp0", "up")
    time.sleep(8)
    assert c.state(lan.a) == "backup" and auth.counts(lan.a)["missing"] >= 5


# -- what is wrong


def wrong(peer: Peer, what: str) -> bytes:
    """The payload of an advertisement whose trailer is not good."""
    good = peer.payload()
    now = time.time_ns()
    match what:
        case "missing":
            return good[:36]
        case "cut":
            return good[:50]
        case "longer":
            return good + bytes(4)
        case "type":
            return peer.payload(peer.trailer(type=2))
        case "no key id":
            return peer.payload(peer.trailer(key_id=0))
        case "sum":
            return good[:38] + bytes([good[38] ^ 1]) + good[39:]
        case "unknown key":
            return peer.payload(peer.trailer(key_id=9))
        case "too old":
            return peer.payload(w.Trailer.at(1, now - 6 * SECOND))
        case "too new":
            return peer.payload(w.Trailer.at(1, now + 6 * SECOND))
        case "another key":
            return Peer(key=OTHER_KEY).payload()
        case "another source":
            return Peer(peer.advertisement.but(source="10.0.0.78")).payload()
        case "demotion":
            # of a demoted host, as if it were well
            demoted = Peer(peer.advertisement.but(demote=1)).payload()
            return peer.advertisement.payload() + demoted[36:]
    raise AssertionError(what)


WRONG = {
    "missing": "missing",
    "cut": "malformed",
    "longer": "malformed",
    "type": "malformed",
    "no key id": "malformed",
    "sum": "malformed",
    "unknown key": "unknown_key",
    "too old": "stale",
    "too new": "stale",
    "another key": "bad_hmac",
    "another source": "bad_hmac",
    "demotion": "bad_hmac",
}


@pytest.mark.parametrize("mode", w.MODES)
@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong(lan: Lan, mode: str, what: str) -> None:
    """Each mode believes as much as it says, and all but `off` count."""
    be_master(lan.a, mode)
    peer = Peer()
    frame = peer.frame(wrong(peer, what))
    expected = {} if mode == "off" else {WRONG[what]: 1}
    assert counted(lan, frame) == expected
    believed = mode in ("off", "receive") or (mode == "permissive" and what == "missing")
    assert (c.state(lan.a) != "master") == believed


@pytest.mark.parametrize("mode", w.MODES)
def test_what_is_right(lan: Lan, mode: str) -> None:
    be_master(lan.a, mode)
    frame = Peer().frame()
    assert counted(lan, frame) == ({} if mode == "off" else {"good": 1})
    assert c.state(lan.a) == "backup"


def test_each_bit_counts(master: Lan) -> None:
    """Of a packet that would be believed, with each single bit flipped."""
    good = Peer().payload()
    for bit in range(8 * len(good)):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        # what the sum covers besides is to be wrong, not the sum alone
        body = bytes(data)
        master.client.send_frame(Peer().frame(body))
        if bit // 8 < 36 and bit // 8 not in (6, 7):
            master.client.send_frame(Peer().frame(c.with_checksum(body[:36]) + body[36:]))
    time.sleep(0.05)
    assert c.state(master.a) == "master"
    assert believes(master, Peer().frame(good)), "and the one that it was made of"


def test_recordings(lan: Lan) -> None:
    """At once, after the window, and after the host has started anew: nothing moves."""
    be_master(lan.a, words="")
    lan.a.sysctl("net.inet.carp.preempt", 1)
    peer = Peer(c.Advertisement(advskew=0))
    recorded = [peer.frame()]
    assert believes(lan, recorded[0]), "the first time"
    c.wait_state(lan.a, "master")
    for _ in range(3):
        assert counted(lan, *recorded) == {"replayed": 1}
    # a bow-out, or a better one, of a moment ago
    worse = Peer(c.Advertisement(advskew=200))
    recorded.append(worse.frame())
    assert counted(lan, recorded[1]) == {"good": 1}
    assert counted(lan, recorded[1]) == {"replayed": 1}
    time.sleep(6)
    assert counted(lan, *recorded) == {"stale": 2}
    recorded.append(Peer(c.Advertisement(advskew=0)).frame())
    lan.a.ip("link", "del", "carp0")
    time.sleep(3)
    be_master(lan.a)
    assert c.state(lan.a) == "master"
    assert not believes(lan, *recorded)


def test_another_windows_length(lan: Lan) -> None:
    be_master(lan.a, window=30)
    assert auth.shown(lan.a)[auth.WINDOW] == struct.pack("=I", 30)
    peer = Peer(c.Advertisement(advskew=200))
    late = peer.frame(peer.payload(w.Trailer.at(1, time.time_ns() - 20 * SECOND)))
    assert counted(lan, late) == {"stale": 1}, "it is of before the host began to listen"
    time.sleep(25)
    late = peer.frame(peer.payload(w.Trailer.at(1, time.time_ns() - 20 * SECOND)))
    assert counted(lan, late) == {"good": 1}
    auth.change(lan.a, window=0)
    assert auth.shown(lan.a)[auth.WINDOW] == struct.pack("=I", 5), "the default"


def test_long_intervals_have_a_long_window(lan: Lan) -> None:
    c.create(lan.a, "advbase 20")
    auth.start(lan.a)
    assert auth.shown(lan.a)[auth.WINDOW] == struct.pack("=I", 60)


def test_a_forger_locks_nobody_out(master: Lan) -> None:
    """Numbers of the future without a key move no mark."""
    peer = Peer(c.Advertisement(advskew=200))
    ahead = Peer(c.Advertisement(advskew=200), key=OTHER_KEY, ahead=4)
    assert counted(master, ahead.frame()) == {"bad_hmac": 1}
    assert counted(master, peer.frame()) == {"good": 1}


def test_strangers_do_not_drive_out_hosts(master: Lan) -> None:
    """More senders than are told apart, all with a good key."""
    peer = Peer(c.Advertisement(advskew=200))
    recorded = peer.frame()
    assert counted(master, recorded) == {"good": 1}
    for number in range(100, 200):
        other = Peer(c.Advertisement(advskew=200, source=f"10.0.0.{number}"))
        master.client.send_frame(other.frame())
    heard = counted(master, recorded)
    assert set(heard) <= {"replayed", "stale"} and heard


def forge(count: int) -> bytes:
    """Advertisements as flood sends them: with the clock that is right, and signed by a key that
    is not."""
    forger = Peer(key=OTHER_KEY)
    frames = [forger.frame() for _ in range(count)]
    return b"".join(struct.pack("=H", len(frame)) + frame for frame in frames)


def test_a_hundred_thousand_forged(
    lan: Lan, tmp_path: Path, figure: Callable[[str, float, str], None]
) -> None:
    """Each costs an HMAC, and none is believed; the election lives."""
    c.create_pair(lan)
    for host in (lan.a, lan.b):
        auth.start(host)
    time.sleep(3)
    path, count, sent, made, spent = tmp_path / "frames", 500, 0, 0.0, 0.0
    before = auth.counts(lan.a)
    while sent < kernel.times(100_000):
        if time.time() > made + 2:
            path.write_bytes(forge(count))
            made = time.time()
        start = busy()
        lan.client.run("/carp/bin/flood", "eth0", str(path))
        spent += busy() - start
        sent += count
    heard = auth.counted(before, auth.counts(lan.a))
    heard.pop("good", None)
    assert heard == {"bad_hmac": sent}
    figure("a forged advertisement, two hosts", spent / sent * 1e9, "instructions")
    time.sleep(2)
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    lan.hard_cut(lan.a)
    c.wait_state(lan.b, "master", timeout=5)


# -- rolling it out, and changing keys


def test_rolling_it_out(lan: Lan) -> None:
    """Host by host, and back: the master stays the same."""
    c.create_pair(lan)
    capture = lan.client.capture(only="ip proto 112")
    for host in (lan.b, lan.a):
        auth.change(host, "receive", keys={1: KEY}, active=1)
        time.sleep(2)
    for mode in ("permissive", "enforce"):
        for host in (lan.b, lan.a):
            auth.change(host, mode)
            time.sleep(2)
    # a new key
    for host in (lan.b, lan.a):
        auth.change(host, keys={2: OTHER_KEY})
        time.sleep(2)
    for host in (lan.b, lan.a):
        auth.change(host, active=2)
        time.sleep(2)
    for host in (lan.b, lan.a):
        auth.change(host, remove=1)
        time.sleep(2)
    assert auth.counts(lan.b)["good"] >= 10
    for mode in ("permissive", "receive", "off"):
        for host in (lan.a, lan.b):
            auth.change(host, mode)
            time.sleep(2)
    sources = {payload(packet)[0] for packet in capture.packets()}
    assert sources == {lan.a.address}, "nobody else was ever master"
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")


# -- clocks


@pytest.mark.parametrize("by", [HOUR, -HOUR, YEAR, -YEAR])
@pytest.mark.parametrize("monotonic", [False, True], ids=["time", "monotonic"])
def test_our_clock_is_set(lan: Lan, by: int, monotonic: bool) -> None:
    """The other host's is right. One interval after ours is right, too, there is one master."""
    c.create(lan.a, advskew=100)
    auth.start(lan.a, monotonic=monotonic)
    lan.a.sysctl("net.inet.carp.preempt", 1)
    offset = 0.0
    peer = Peer()

    def advertise(seconds: int) -> None:
        for _ in range(seconds):
            peer.ahead = -offset
            lan.client.send_frame(peer.frame())
            time.sleep(1)

    advertise(5)
    assert c.state(lan.a) == "backup"
    offset = by
    time.clock_settime(time.CLOCK_REALTIME, time.time() + by)
    try:
        advertise(6)
        assert (c.state(lan.a) == "backup") == monotonic
    finally:
        time.clock_settime(time.CLOCK_REALTIME, time.time() - by)
    offset = 0.0
    advertise(2)
    assert c.state(lan.a) == "backup", "one interval later"


@pytest.mark.parametrize("by", [HOUR, -HOUR, YEAR, -YEAR])
def test_its_clock_is_set(lan: Lan, by: int) -> None:
    """Ours is right; it comes back from its excursion."""
    c.create(lan.a, advskew=100)
    auth.start(lan.a)
    peer = Peer()

    def advertise(seconds: int) -> None:
        for _ in range(seconds):
            # what a sender does whose clock was set back beyond the window
            peer.last = 0
            lan.client.send_frame(peer.frame())
            time.sleep(1)

    advertise(5)
    assert c.state(lan.a) == "backup"
    peer.ahead = by
    advertise(6)
    assert c.state(lan.a) == "master"
    peer.ahead = 0
    advertise(2)
    assert c.state(lan.a) == "backup"


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_a_senders_numbers_follow_its_clock(lan: Lan, by: int) -> None:
    """Also back: else receivers would refuse them as too new, for ever."""
    c.create(lan.a)
    auth.start(lan.a)
    c.wait_state(lan.a, "master")
    capture = lan.client.capture(only="ip proto 112")
    time.sleep(2.5)
    time.clock_settime(time.CLOCK_REALTIME, time.time() + by)
    time.sleep(2.5)
    time.clock_settime(time.CLOCK_REALTIME, time.time() - by)
    time.sleep(2.5)
    trailers = [w.advertisement_trailer(payload(packet)[1]) for packet in capture.packets()]
    seconds = [trailer.seconds - int(time.time()) for trailer in trailers if trailer]
    hours = [round(it / HOUR) for it in seconds]
    assert set(hours) == {0, by // HOUR} and (hours[0], hours[-1]) == (0, 0)


def test_a_clock_that_is_far_off_is_told(lan: Lan, log: Kmsg) -> None:
    """Half a window away, once, and when it is close again."""
    be_master(lan.a)
    peer = Peer(c.Advertisement(advskew=200), ahead=3)
    for _ in range(3):
        lan.client.send_frame(peer.frame())
        time.sleep(0.5)
    lines = [line for line in log.read() if "the clock of 10.0.0.77 is " in line]
    assert len(lines) == 1 and "ms ahead of ours" in lines[0]
    peer.ahead, peer.last = 0, 0
    time.sleep(4)
    lan.client.send_frame(peer.frame())
    time.sleep(0.1)
    assert any("the clock of 10.0.0.77 is close to ours again" in line for line in log.read())


# -- what is refused


REFUSED = {
    "no active key": {"mode": "enforce", "keys": {1: KEY}},
    "no key": {"mode": "receive"},
    "an unknown active key": {"active": 3},
    "a short key": {"keys": {1: bytes(31)}},
    "a long key": {"keys": {1: bytes(65)}},
    "key 0": {"keys": {0: KEY}},
    "too many keys": {"keys": {number: KEY for number in range(1, 10)}},
    "a key to remove that there is not": {"remove": 3},
    "a long window": {"window": 301},
}
WORDS = {
    "no active key": "auth permissive and enforce need an active key: authactive",
    "no key": "auth receive needs a key: authkey",
    "an unknown active key": "authactive: there is no authkey 3",
    "a short key": "authkey 1: a key has 32-64 bytes, not 31",
    "a long key": "authkey 1: a key has 32-64 bytes, not 65",
    "key 0": "the id of an authkey is 1-255",
    "too many keys": "an interface has at most 8 authkeys",
    "a key to remove that there is not": "-authkey: there is no authkey 3",
    "a long window": "authwindow must be 1-300 seconds, or 0 for the default",
}


@pytest.mark.parametrize("what", WORDS)
def test_refused(host: Host, what: str) -> None:
    """In words, and nothing has changed."""
    c.create(host, up=False)
    before = host.link("carp0").data
    before.pop(auth.IFLA_CARP_STATS)
    with pytest.raises(NetlinkError) as error:
        auth.change(host, **REFUSED[what])  # type: ignore[arg-type]
    assert WORDS[what] in str(error.value)
    after = host.link("carp0").data
    after.pop(auth.IFLA_CARP_STATS)
    assert after == before


def test_the_active_key_stays(host: Host) -> None:
    c.create(host, up=False)
    auth.start(host)
    with pytest.raises(NetlinkError, match="authkey 1 is the active one"):
        auth.change(host, remove=1)
    with pytest.raises(NetlinkError, match="need an active key"):
        auth.change(host, active=0)
    # all in one request: first what comes, then what goes
    auth.change(host, keys={2: OTHER_KEY}, active=2, remove=1)
    auth.change(host, "off", active=0, remove=2)
    with pytest.raises(NetlinkError, match="auth receive needs a key"):
        auth.change(host, "receive")


def test_keys_are_not_shown(host: Host) -> None:
    """Nowhere in the answer, in no way that it could be asked for."""
    c.create(host, up=False)
    auth.start(host, keys={1: KEY, 200: OTHER_KEY})
    data = host.link("carp0").attributes
    raw = b"".join(data.values())
    for secret in (KEY, OTHER_KEY):
        assert secret[:8] not in raw and secret[-8:] not in raw
    assert auth.shown(host)[auth.ACTIVE] == b"\1"
    assert auth.shown(host)[auth.AUTH] == b"\3"
