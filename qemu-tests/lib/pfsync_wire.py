# SPDX-License-Identifier: GPL-2.0
"""pfsync version 6 as bytes, written anew from the protocol's description: what the
module sends, and what it is sent, is not judged by the module's own code.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from lib.pfsync_compact import GREETING, Compact
from lib.pfsync_confirmation import Confirmation, FrameNumber
from lib.pfsync_linux import TYPES, Expectation, Extra, TcpLast, TcpSide
from lib.pfsync_messages import (
    ACK,
    EVERYTHING,
    IN,
    OUT,
    Bulk,
    Clear,
    Id,
    Key,
    Peer,
    Refused,
    State,
    Tdb,
    Tuple,
    Update,
)
from lib.pfsync_messages import words as whole_words

__all__ = [
    "ACK",
    "EVERYTHING",
    "GREETING",
    "IN",
    "OUT",
    "TYPES",
    "Action",
    "Bulk",
    "Clear",
    "Compact",
    "Confirmation",
    "Expectation",
    "Extra",
    "Frame",
    "FrameNumber",
    "Id",
    "Key",
    "Peer",
    "Refused",
    "Section",
    "State",
    "TcpLast",
    "TcpSide",
    "Tdb",
    "Tuple",
    "Update",
    "frame",
]

VERSION = 6
HEADER = struct.Struct("!BBH16s")
SECTION = struct.Struct("!BBH")
LAST_ASSIGNED = 15


class Action(IntEnum):
    CLR = 0
    INS_ACK = 2
    UPD_C = 4
    UPD_REQ = 5
    DEL = 6
    DEL_C = 7
    BUS = 10
    INS = 13
    UPD = 14
    TDB = 15
    # Linux' own, see docs/pfsync-linux.md
    EXTRA = 193
    EXPECT = 194
    COMPACT = 195
    NUMBER = 196
    ARRIVED = 197


Message = (
    State | Update | Id | Clear | Bulk | Tdb | Extra | Expectation | Compact
    | FrameNumber | Confirmation
)  # fmt: skip

KINDS: dict[int, tuple[Any, int]] = {
    Action.CLR: (Clear, 20),
    Action.INS_ACK: (Id, 12),
    Action.UPD_C: (Update, 84),
    Action.UPD_REQ: (Id, 12),
    Action.DEL: (State, 264),
    Action.DEL_C: (Id, 12),
    Action.BUS: (Bulk, 12),
    Action.INS: (State, 264),
    Action.UPD: (State, 264),
    Action.TDB: (Tdb, 52),
    Action.EXTRA: (Extra, 12),
    Action.EXPECT: (Expectation, 168),
    Action.COMPACT: (Compact, 36),
    Action.NUMBER: (FrameNumber, 8),
    Action.ARRIVED: (Confirmation, 8),
}
"""By action: its messages, and how long they are at least."""


@dataclass(frozen=True)
class Section:
    """Messages of one action and one length."""

    action: int
    messages: tuple[Message | bytes, ...] = ()
    """Bytes where the action is not known, or they are too short for it."""

    def pack(self) -> bytes:
        packed = [m if isinstance(m, bytes) else m.pack() for m in self.messages]
        longest = max(map(len, packed), default=0)
        body = b"".join(whole_words(m.ljust(longest, b"\0")) for m in packed)
        words = -(-longest // 4)
        return SECTION.pack(self.action, words, len(packed)) + body

    @classmethod
    def unpack(cls, data: bytes) -> tuple[Section, bytes]:
        """The first section, and what follows it."""
        action, words, count = SECTION.unpack_from(data)
        size = words * 4
        body, rest = data[4 : 4 + size * count], data[4 + size * count :]
        kind, least = KINDS.get(action, (None, 0))
        if action > LAST_ASSIGNED and not kind and not size * count:
            raise Refused("action")
        if len(body) < size * count:
            raise Refused("length")
        messages = tuple(body[i * size : (i + 1) * size] for i in range(count))
        if kind and size >= least:
            messages = tuple(kind.unpack(message) for message in messages)
        return cls(action, messages), rest


@dataclass(frozen=True)
class Frame:
    """What follows the IP header."""

    sections: tuple[Section, ...] = ()

    def pack(self) -> bytes:
        body = b"".join(section.pack() for section in self.sections)
        return HEADER.pack(VERSION, 0, HEADER.size + len(body), bytes(16)) + body

    @classmethod
    def unpack(cls, data: bytes) -> Frame:
        """Raises Refused where a receiver stops: "short", "version", "length", "action"."""
        if len(data) < HEADER.size:
            raise Refused("short")
        version, _, length, _ = HEADER.unpack_from(data)
        if version != VERSION:
            raise Refused("version")
        if not HEADER.size <= length <= len(data):
            raise Refused("length")
        rest = data[HEADER.size : length]
        sections = []
        while len(rest) >= SECTION.size:
            section, rest = Section.unpack(rest)
            sections.append(section)
        return cls(tuple(sections))

    @property
    def actions(self) -> list[int]:
        return [section.action for section in self.sections]

    def all(self, *actions: int) -> list[Any]:
        """The messages of these actions that could be read."""
        return [
            message
            for section in self.sections
            if section.action in actions
            for message in section.messages
            if not isinstance(message, bytes)
        ]

    def states(self) -> list[State]:
        """All whole states that are inserted or updated."""
        return self.all(Action.INS, Action.UPD)

    def told(self) -> list[State | Compact]:
        """The same, and those in Linux' own form."""
        return self.all(Action.INS, Action.UPD, Action.COMPACT)


def frame(*sections: tuple[Any, ...]) -> bytes:
    """A frame's bytes, of sections like (Action.INS, state, state)."""
    return Frame(tuple(Section(action, tuple(rest)) for action, *rest in sections)).pack()
