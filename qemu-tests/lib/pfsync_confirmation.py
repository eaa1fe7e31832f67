# SPDX-License-Identifier: GPL-2.0
"""How Linux hosts confirm a whole frame (docs/pfsync-linux.md, actions 196 and 197), see
lib.pfsync_wire.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class FrameNumber:
    """NUMBER: what the frame is called."""

    creatorid: bytes
    number: int

    WIRE = struct.Struct("!4sI")

    def pack(self) -> bytes:
        return self.WIRE.pack(self.creatorid, self.number)

    @classmethod
    def unpack(cls, data: bytes) -> FrameNumber:
        return cls(*cls.WIRE.unpack_from(data))


@dataclass(frozen=True)
class Confirmation:
    """ARRIVED: which of a frame's states are there now, by their places."""

    creatorid: bytes
    number: int
    here: frozenset[int] = frozenset()

    def pack(self) -> bytes:
        bits = [0] * (max(self.here, default=0) // 32 + 1)
        for place in self.here:
            bits[place // 32] |= 1 << place % 32
        head = FrameNumber.WIRE.pack(self.creatorid, self.number)
        return head + struct.pack(f"!{len(bits)}I", *bits)

    @classmethod
    def unpack(cls, data: bytes) -> Confirmation:
        head = FrameNumber.WIRE.size
        bits = struct.unpack(f"!{(len(data) - head) // 4}I", data[head:])
        places = (32 * i + j for i, word in enumerate(bits) for j in range(32) if word >> j & 1)
        return cls(*FrameNumber.WIRE.unpack_from(data), frozenset(places))
