# SPDX-License-Identifier: GPL-2.0
"""Linux' own messages of pfsync (docs/pfsync-linux.md), see lib.pfsync_wire."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from lib.pfsync_messages import (
    Id,
    Refused,
    family_of,
    pack_address,
    text,
    unpack_address,
    words,
)


class TcpLast(NamedTuple):
    """Attribute "tcp": the state, and the last packet."""

    state: int
    direction: int = 0
    retrans: int = 0
    kind: int = 0
    wscale: int = 0
    flags: int = 0
    window: int = 0
    seq: int = 0
    ack: int = 0
    end: int = 0


class TcpSide(NamedTuple):
    """Attributes "tcp_original" and "tcp_reply": what conntrack knows of one side."""

    end: int = 0
    maxend: int = 0
    maxwin: int = 0
    maxack: int = 0
    scale: int = 0
    flags: int = 0


ATTRIBUTES: dict[int, tuple[str, struct.Struct | None, Any]] = {
    1: ("status", struct.Struct("!I"), None),
    2: ("timeout", struct.Struct("!I"), None),
    3: ("zone", struct.Struct("!HB"), tuple),
    4: ("mark", struct.Struct("!I"), None),
    5: ("labels", struct.Struct("16s"), None),
    6: ("helper", None, None),
    7: ("tcp", struct.Struct("!6BH3I"), TcpLast._make),
    8: ("tcp_original", struct.Struct("!4I2B"), TcpSide._make),
    9: ("tcp_reply", struct.Struct("!4I2B"), TcpSide._make),
    10: ("adjust_original", struct.Struct("!Iii"), tuple),
    11: ("adjust_reply", struct.Struct("!Iii"), tuple),
    12: ("sctp", struct.Struct("!B4s4s4B"), tuple),
    13: ("gre", struct.Struct("!II"), tuple),
    14: ("master", Id.WIRE, Id),
    15: ("synproxy", struct.Struct("!III"), tuple),
    18: ("ids", struct.Struct("!4H"), tuple),
    19: ("start", struct.Struct("!Q"), None),
    20: ("other_side", struct.Struct("16s"), None),
    21: ("half_of", Id.WIRE, Id),
    22: ("in_use", struct.Struct("B"), None),
    23: ("compact", None, bytes),
}
"""By type: the name, the layout (None: text), and what is made of several values (None:
there is one)."""

TYPES = {name: kind for kind, (name, _, _) in ATTRIBUTES.items()}


def pack_attributes(values: dict[str | int, Any]) -> bytes:
    """Values by name in ATTRIBUTES; those of other types, as bytes, by their type."""
    data = b""
    for name, value in values.items():
        kind = name if isinstance(name, int) else TYPES[name]
        _, layout, many = ATTRIBUTES.get(kind, ("", None, None))
        if isinstance(value, Id):
            value = value.pack()
        elif layout:
            value = layout.pack(*value) if many else layout.pack(value)
        elif isinstance(value, str):
            value = value.encode()
        data += bytes([kind, len(value)]) + value
    return data


def unpack_attributes(rest: bytes) -> dict[str | int, Any]:
    values: dict[str | int, Any] = {}
    while rest:
        kind = rest[0]
        if kind == 0:
            rest = rest[1:]
            continue
        if len(rest) < 2 or len(rest) < 2 + rest[1]:
            raise Refused("length")
        value, rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
        name, layout, many = ATTRIBUTES.get(kind, (kind, None, bytes))
        if layout:
            if len(value) < layout.size:
                raise Refused("value")
            several = layout.unpack_from(value)
            if many is Id:
                values[name] = Id(*several)
            else:
                values[name] = many(several) if many else several[0]
        else:
            values[name] = value if many else value.decode()
    return values


@dataclass(frozen=True)
class Extra:
    """EXTRA: what conntrack knows of the next state and pf does not."""

    id: bytes
    creatorid: bytes
    values: dict[str | int, Any] = field(default_factory=dict)
    """By name in ATTRIBUTES; those of other types, as bytes, by their type."""

    @property
    def name(self) -> Id:
        return Id(self.id, self.creatorid)

    def pack(self) -> bytes:
        return words(self.id + self.creatorid + pack_attributes(self.values))

    @classmethod
    def unpack(cls, data: bytes) -> Extra:
        return cls(data[:8], data[8:12], unpack_attributes(data[12:]))


@dataclass(frozen=True)
class Expectation:
    """EXPECT: a connection that another one expects."""

    master: Id
    number: int
    present: bool = True
    proto: int = 6
    source: str = "0.0.0.0"
    destination: str = "0.0.0.0"
    port: tuple[int, int] = (0, 0)
    mask_source: bytes = bytes(16)
    mask_port: int = 0
    nat_direction: int = 0
    nat_port: int = 0
    nat_address: bytes = bytes(16)
    timeout: int = 0
    flags: int = 0
    class_: int = 0
    helper: str = ""
    assign_helper: str = ""
    function: str = ""

    WIRE: ClassVar = struct.Struct("!12sI4B16s16sHH16sHH16s3I16s16s32s")

    def pack(self) -> bytes:
        return self.WIRE.pack(
            self.master.pack(),
            self.number,
            1 if self.present else 2,
            family_of(self.destination),
            self.proto,
            self.nat_direction,
            pack_address(self.source),
            pack_address(self.destination),
            *self.port,
            self.mask_source,
            self.mask_port,
            self.nat_port,
            self.nat_address,
            self.timeout,
            self.flags,
            self.class_,
            self.helper.encode(),
            self.assign_helper.encode(),
            self.function.encode(),
        )

    @classmethod
    def unpack(cls, data: bytes) -> Expectation:
        (
            master, number, kind, family, proto, nat_direction, source, destination, sport, dport,
            mask_source, mask_port, nat_port, nat_address, timeout, flags, class_, helper,
            assign_helper, function,
        ) = cls.WIRE.unpack_from(data)  # fmt: skip
        if kind not in (1, 2):
            raise Refused("value")
        return cls(
            Id.unpack(master),
            number,
            kind == 1,
            proto,
            unpack_address(source, family),
            unpack_address(destination, family),
            (sport, dport),
            mask_source,
            mask_port,
            nat_direction,
            nat_port,
            nat_address,
            timeout,
            flags,
            class_,
            text(helper),
            text(assign_helper),
            text(function),
        )
