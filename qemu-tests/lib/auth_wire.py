# SPDX-License-Identifier: GPL-2.0
"""What authenticates whole packets of CARP and pfsync, written anew from its description: what
the module sends is not judged by the module's own code.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address

from lib.frames import CARP_SIZE, checksum

TYPE = 1
SIZE = 28
TAG_SIZE = 16
ACTION = 198
SECTION = struct.pack("!BBH", ACTION, SIZE // 4, 1)
PFSYNC_HEADER_SIZE = 20

MODES = ("off", "receive", "permissive", "enforce")
"""enum carp_auth, in words."""
OUTCOMES = ("good", "missing", "malformed", "unknown_key", "stale", "replayed", "bad_hmac")
"""What became of a packet, in the order of the kernel's counters."""

Address = str | IPv4Address | IPv6Address


@dataclass(frozen=True)
class Trailer:
    """The 28 bytes. `middle` is what stands in bytes 2 and 3; None: what must stand there."""

    key_id: int
    seconds: int
    fraction: int = 0
    counter: int = 0
    tag: bytes = bytes(TAG_SIZE)
    type: int = TYPE
    middle: int | None = None

    @classmethod
    def at(cls, key_id: int, nanoseconds: int, counter: int = 0) -> Trailer:
        """Of a packet that is sent at this time since 1970."""
        seconds, rest = divmod(nanoseconds, 10**9)
        return cls(key_id, seconds % 2**32, rest * 65536 // 10**9, counter)

    @classmethod
    def numbered(cls, key_id: int, number: int) -> Trailer:
        """Of a packet with this number."""
        return cls(key_id, number >> 32, number >> 16 & 0xFFFF, number & 0xFFFF)

    @classmethod
    def unpack(cls, data: bytes) -> Trailer:
        kind, key_id, middle, seconds, fraction, counter, tag = struct.unpack("!BBHIHH16s", data)
        return cls(key_id, seconds, fraction, counter, tag, kind, middle)

    @property
    def sequence(self) -> int:
        return self.seconds << 32 | self.fraction << 16 | self.counter

    def pack(self, middle: int = 0) -> bytes:
        if self.middle is not None:
            middle = self.middle
        return struct.pack(
            "!BBHIHH16s",
            self.type,
            self.key_id,
            middle,
            self.seconds,
            self.fraction,
            self.counter,
            self.tag,
        )

    def pack_neutral(self) -> bytes:
        """Behind an advertisement: the sum of all 28 bytes is 0xffff."""
        return self.pack(checksum(replace(self, middle=0).pack()))

    def problem(self, neutral: bool) -> str | None:
        """What is wrong with it, the HMAC apart."""
        if self.type != TYPE:
            return "type"
        if not self.key_id:
            return "key id"
        if neutral and checksum(self.pack()):
            return "sum"
        if not neutral and self.middle:
            return "bytes 2 and 3"
        return None


def pseudo_header(source: Address, version: int, number: int) -> bytes:
    address = ip_address(source)
    return bytes([address.version, version, number, 0]) + address.packed.ljust(16, b"\0")


def full_hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, hashlib.sha256)


# -- CARP


def advertisement_input(source: Address, advertisement: bytes, trailer: Trailer) -> bytes:
    """What the HMAC of an advertisement covers."""
    body = advertisement[:6] + bytes(2) + advertisement[8:CARP_SIZE]
    blank = replace(trailer, tag=bytes(TAG_SIZE), middle=0)
    return pseudo_header(source, 2, advertisement[1]) + body + blank.pack()


def sign_advertisement(
    key: bytes, source: Address, advertisement: bytes, trailer: Trailer
) -> bytes:
    """The 36 bytes with a trailer, whose HMAC is made."""
    body = advertisement[:CARP_SIZE]
    tag = full_hmac(key, advertisement_input(source, body, trailer))[:TAG_SIZE]
    return body + replace(trailer, tag=tag).pack_neutral()


def advertisement_trailer(payload: bytes) -> Trailer | None:
    """What stands behind the 36 bytes, if it is as long as a trailer."""
    rest = payload[CARP_SIZE:]
    return Trailer.unpack(rest) if len(rest) == SIZE else None


def verify_advertisement(key: bytes, source: Address, payload: bytes) -> bool:
    trailer = advertisement_trailer(payload)
    if trailer is None or trailer.problem(neutral=True):
        return False
    tag = full_hmac(key, advertisement_input(source, payload[:CARP_SIZE], trailer))[:TAG_SIZE]
    return tag == trailer.tag


# -- pfsync


def frame_input(source: Address, frame: bytes) -> bytes:
    """What the HMAC of a frame covers, which has its trailer."""
    return pseudo_header(source, 6, 240) + frame[:-TAG_SIZE] + bytes(TAG_SIZE)


def sign_frame(key: bytes, source: Address, frame: bytes, trailer: Trailer) -> bytes:
    """The frame with one more section, whose HMAC is made."""
    size = len(frame) + len(SECTION) + SIZE
    whole = frame[:2] + struct.pack("!H", size) + frame[4:] + SECTION + trailer.pack()
    return whole[:-TAG_SIZE] + full_hmac(key, frame_input(source, whole))[:TAG_SIZE]


def frame_trailer(frame: bytes) -> Trailer | None:
    """What stands in the last section of a frame, if that and no other is the right one."""
    (size,) = struct.unpack_from("!H", frame, 2)
    data, found = frame[PFSYNC_HEADER_SIZE:size], None
    while len(data) >= 4:
        action, words, count = struct.unpack_from("!BBH", data)
        end = 4 + 4 * words * count
        if end > len(data) or found is not None:
            return None
        if action == ACTION:
            if (words, count) != (SIZE // 4, 1) or end != len(data):
                return None
            found = Trailer.unpack(data[4:end])
        data = data[end:]
    return found


def verify_frame(key: bytes, source: Address, frame: bytes) -> bool:
    trailer = frame_trailer(frame)
    if trailer is None or trailer.problem(neutral=False):
        return False
    (size,) = struct.unpack_from("!H", frame, 2)
    return full_hmac(key, frame_input(source, frame[:size]))[:TAG_SIZE] == trailer.tag
