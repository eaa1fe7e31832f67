# SPDX-License-Identifier: GPL-2.0
"""Any bytes at all: counted, dropped, nothing else."""

from __future__ import annotations

import random
import struct
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib import carp as c
from lib import kernel
from lib.clock import SECOND, now
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import VIP, Lan
from lib.pinger import lost

pytestmark = pytest.mark.usefixtures("carp")

FLOOD = "/carp/bin/flood"
PACKETS = kernel.times(100_000)
OTHER = bytes.fromhex("02000000004d")
WORSE = c.Advertisement(advskew=200)
"""One that neither a master nor a backup need do anything about."""

Built = tuple[bytes, str, str]
"""A frame, and what it is to be counted under by the master and by the backup."""


def flood(host: Host, frames: list[bytes], path: Path) -> None:
    """Sends all these frames."""
    path.write_bytes(b"".join(struct.pack("=H", len(frame)) + frame for frame in frames))
    assert int(host.run(FLOOD, "eth0", str(path)).stdout) == len(frames)


class Generator:
    """Makes packets of protocol 112 to the group. Their IP headers are good, so that
    every single one must be found again in a counter."""

    def __init__(self, own: bytes, seed: int) -> None:
        """`own` is an advertisement of the master under attack, as recorded."""
        self.random = random.Random(seed)
        self.own = own
        self.good = WORSE.payload()
        self.headers: dict[tuple[int, int], bytes] = {}

    def frame(self, payload: bytes, ttl: int = 255) -> bytes:
        """Around a payload; the headers are kept, for each costs a checksum."""
        key = len(payload), ttl
        if key not in self.headers:
            source = ".".join(str(self.random.randrange(256)) for _ in range(4))
            header = c.frame(payload, source=source, ttl=ttl, mac=OTHER)
            self.headers[key] = header[:34]
        return self.headers[key] + payload

    def flipped(self, start: int) -> bytes:
        """A good payload with one bit flipped behind so many bytes."""
        data = bytearray(self.good)
        data[self.random.randrange(start, 36)] ^= 1 << self.random.randrange(8)
        return bytes(data)

    @staticmethod
    def summed(data: bytes) -> bytes:
        """The same with a checksum that is right."""
        data = data[:6] + b"\0\0" + data[8:]
        return data[:6] + struct.pack("!H", c.checksum(data[:36])) + data[8:]

    # each of these returns a frame and its headings

    def noise(self) -> Built:
        payload = self.random.randbytes(self.random.randrange(100))
        if len(payload) < 36:
            heading = "rx_bad_length"
        else:
            # a right checksum by chance, once in 65,536
            payload = (
                payload[:7] + bytes([payload[7] ^ (c.checksum(payload[:36]) == 0)]) + payload[8:]
            )
            heading = "rx_bad_checksum"
        return self.frame(payload), heading, heading

    def truncated(self) -> Built:
        payload = self.good[: self.random.randrange(36)]
        return self.frame(payload), "rx_bad_length", "rx_bad_length"

    def bit_flipped(self) -> Built:
        return self.frame(self.flipped(0)), "rx_bad_checksum", "rx_bad_checksum"

    def wrong_ttl(self) -> Built:
        payload = self.random.choice((self.good, self.good[:9], self.flipped(0)))
        return self.frame(payload, self.random.randrange(255)), "rx_bad_ttl", "rx_bad_ttl"

    def wrong_digest(self) -> Built:
        return self.frame(self.summed(self.flipped(8))), "rx_bad_auth", "rx_bad_auth"

    def guessed(self) -> Built:
        payload = self.summed(self.good[:8] + self.random.randbytes(28))
        return self.frame(payload), "rx_bad_auth", "rx_bad_auth"

    def wrong_vhid(self) -> Built:
        vhid = self.random.choice((0, *range(2, 256)))
        payload = self.summed(self.good[:1] + bytes([vhid]) + self.good[2:])
        return self.frame(payload), "rx_bad_vhid", "rx_bad_vhid"

    def wrong_version(self) -> Built:
        version = self.random.choice((0, 1, *range(3, 16)))
        payload = self.summed(bytes([version << 4 | 1]) + self.good[1:])
        return self.frame(payload), "rx_bad_version", "rx_bad_version"

    def vrrp(self) -> Built:
        version = self.random.choice((2, 3))
        payload = bytes([version << 4 | 1, 1, self.random.randrange(256), 1]) + bytes(4)
        payload += bytes([10, 0, 0, 1]) + bytes(8) * (version == 2)
        return self.frame(payload), "rx_bad_length", "rx_bad_length"

    def echo(self) -> Built:
        """The master's own; to the backup it is an advertisement."""
        return self.own, "rx_echo", "accepted"

    def replay(self) -> Built:
        """Another host's; a good one to both."""
        return self.frame(self.good), "accepted", "accepted"

    def packets(self, count: int) -> Iterator[Built]:
        kinds = (
            self.noise,
            self.truncated,
            self.bit_flipped,
            self.wrong_ttl,
            self.wrong_digest,
            self.guessed,
            self.wrong_vhid,
            self.wrong_version,
            self.vrrp,
            self.echo,
            self.replay,
        )
        for i in range(count):
            yield kinds[i % len(kinds)]()


def difference(before: dict[str, int], after: dict[str, int]) -> Counter[str]:
    return Counter({name: after[name] - before[name] for name in after})


def check(counted: Counter[str], expected: Counter[str], heard: int) -> None:
    """All that was sent is found in the counters, each where it belongs, with so many
    advertisements that were heard besides."""
    headings = {name for name in counted if name.startswith("rx_bad") or name == "rx_short"}
    assert counted["rx_ipv4"] == expected.total() + heard, "some were not counted"
    dropped = sum(counted[name] for name in headings)
    assert dropped == expected.total() - expected["accepted"], counted
    for name in headings:
        # an echo is counted as a failure of authentication, and again by itself
        echoes = expected["rx_echo"] if name == "rx_bad_auth" else 0
        assert counted[name] == expected[name] + echoes, name
    assert counted["rx_echo"] == expected["rx_echo"]


def test_a_hundred_thousand_packets(lan: Lan, log: Kmsg, tmp_path: Path, seed: int) -> None:
    """Random, truncated, flipped, forged, replayed and foreign ones, heard by a master
    and by a backup at once: no state changes, each is counted, the log gains a few
    lines; and the election is as good as before."""
    for host in lan.hosts:
        host.sysctl("net.inet.carp.log", 7)
    c.create_pair(lan)
    capture = lan.client.capture(only="ip proto 112")
    time.sleep(3)
    own = c.heard(capture.packets())[0].data
    capture.close()
    built = list(Generator(own, seed).packets(PACKETS))
    log.read()
    before = [c.stats(host) for host in lan.hosts]
    start = now()
    flood(lan.client, [frame for frame, _, _ in built], tmp_path / "frames")
    seconds = (now() - start) / SECOND
    time.sleep(0.1)
    after = [c.stats(host) for host in lan.hosts]
    lines = log.read()

    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    of_a, of_b = (difference(*pair) for pair in zip(before, after, strict=True))
    assert of_a["preempt"] == of_b["preempt"] == 0, "nobody became master meanwhile"
    assert of_b["tx_ipv4"] == 0
    check(of_a, Counter(heading for _, heading, _ in built), 0)
    check(of_b, Counter(heading for _, _, heading in built), of_a["tx_ipv4"])
    assert seconds - 2 <= of_a["tx_ipv4"] <= seconds + 2, "the master went on advertising"
    # on each host ten in five seconds, and how many there were not
    assert len(lines) <= len(lan.hosts) * 12 * (seconds / 5 + 1), lines
    assert not [line for line in lines if "transition" in line]
    works(lan)


def works(lan: Lan) -> None:
    """The address is served, and is handed over."""
    pinger = lan.client.ping(VIP)
    time.sleep(0.1)
    assert not lost(pinger.stop())
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)
    lan.client.run("ping", "-c", "2", "-i", "0.2", "-W", "1", VIP)


def strange_frames(count: int, seed: int) -> Iterator[bytes]:
    """What no decent host sends, to whom a carp interface listens: virtual MACs, the
    group, everybody; ARP above all."""
    dice = random.Random(seed)
    group, everybody, virtual = c.GROUP_MAC, b"\xff" * 6, c.virtual_mac(1)
    vip = bytes([10, 0, 0, 1])
    advertisement = WORSE.frame()
    asked = c.arp(VIP, sender="10.0.0.77", mac=OTHER)
    for i in range(count):
        to = dice.choice((group, everybody, virtual, c.virtual_mac(0), c.virtual_mac(9)))
        kind = i % 8
        if kind == 0:  # anything at all
            yield to + OTHER + dice.randbytes(dice.randrange(2, 100))
        elif kind == 1:  # of a protocol that exists, and short
            protocol = dice.choice((b"\x08\0", b"\x08\6", b"\x86\xdd", b"\x81\0"))
            yield to + OTHER + protocol + dice.randbytes(dice.randrange(60))
        elif kind == 2:  # an advertisement with a hole in its headers
            frame = bytearray(advertisement)
            frame[dice.randrange(14, 34)] ^= 1 << dice.randrange(8)
            yield bytes(frame)
        elif kind == 3:  # and one that ends in them
            yield advertisement[: dice.randrange(14, 34)]
        elif kind == 4:  # a question with a flipped bit
            frame = bytearray(to + asked[6:])
            frame[dice.randrange(14, 42)] ^= 1 << dice.randrange(8)
            yield bytes(frame)
        elif kind == 5:  # and one that ends early
            yield to + asked[6 : dice.randrange(14, 42)]
        elif kind == 6:  # ARP of any sender and any kind about the address
            operation = bytes([0, dice.randrange(6)])
            body = dice.randbytes(6) + dice.choice((dice.randbytes(4), vip)) + dice.randbytes(6)
            yield to + OTHER + asked[12:20] + operation + body + vip
        else:  # fragments
            payload = dice.randbytes(dice.randrange(8, 64))
            frame = bytearray(c.frame(payload, mac=OTHER, to=dice.choice((group, virtual))))
            frame[20:22] = struct.pack("!H", dice.randrange(1 << 14))
            frame[24:26] = b"\0\0"
            frame[24:26] = struct.pack("!H", c.checksum(bytes(frame[14:34])))
            yield bytes(frame)


def test_strange_frames(lan: Lan, log: Kmsg, tmp_path: Path, seed: int) -> None:
    """Ethernet, ARP and IP as bad as they can be, to a master and to a backup, also
    where the parent has no address and all goes to carp0."""
    for host in lan.hosts:
        host.sysctl("net.inet.carp.log", 7)
    frames = list(strange_frames(kernel.times(16_000), seed))
    c.create_pair(lan)
    for own in (True, False):
        if not own:
            for host in lan.hosts:
                host.ip("addr", "del", f"{host.address}/24", "dev", "eth0")
        before = [c.stats(host)["preempt"] for host in lan.hosts]
        log.read()
        flood(lan.client, frames, tmp_path / "frames")
        time.sleep(0.1)
        assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
        assert [c.stats(host)["preempt"] for host in lan.hosts] == before
        assert len(log.read()) <= 40
    works(lan)
