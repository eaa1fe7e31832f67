# SPDX-License-Identifier: GPL-2.0
"""A state as Linux hosts tell each other of it (docs/pfsync-linux.md, action 195), see
lib.pfsync_wire.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lib.pfsync_linux import (
    ATTRIBUTES,
    Extra,
    TcpLast,
    TcpSide,
    pack_attributes,
    unpack_attributes,
)
from lib.pfsync_messages import Id, Refused, Tuple, words

GREETING = Extra(bytes(8), bytes(4), {"compact": b""})
"""What a host says of itself that reads these."""

IPV6, CONFIRM, IN_USE, REPLY_SOURCE, REPLY_DESTINATION = 1, 2, 4, 8, 16
LAST_REPLY, LAST_END, LAST_SEQ, LAST_ACK = 16, 32, 64, 128
TCP, GRE, SCTP = 6, 47, 132
OWN = {GRE: "gre", SCTP: "sctp"}
"""By protocol: the attribute whose value it has without type and length."""


def pack_end(address: str, number: int, family: int) -> bytes:
    return socket.inet_pton(family, address) + number.to_bytes(2)


def pack_tcp(last: TcpLast, sides: tuple[TcpSide, TcpSide]) -> bytes:
    sender = sides[last.direction]
    first = last.state | LAST_REPLY * last.direction
    numbers = b""
    for flag, value, usual in (
        (LAST_END, last.end, sender.end),
        (LAST_SEQ, last.seq, last.end),
        (LAST_ACK, last.ack, sender.maxack),
    ):
        if value != usual:
            first |= flag
            numbers += value.to_bytes(4)
    head = struct.pack("!5BH", first, last.retrans, last.kind, last.wscale, last.flags, last.window)
    return head + b"".join(struct.pack("!4I2B", *side) for side in sides) + numbers


class Rest:
    """What is still to be read."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, size: int) -> bytes:
        if len(self.data) < size:
            raise Refused("length")
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def unpack(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def tcp(self) -> tuple[TcpLast, tuple[TcpSide, TcpSide]]:
        first, retrans, kind, wscale, flags, window = self.unpack("!5BH")
        sides = (TcpSide(*self.unpack("!4I2B")), TcpSide(*self.unpack("!4I2B")))
        direction = int(bool(first & LAST_REPLY))

        def number(flag: int, usual: int) -> int:
            return int.from_bytes(self.take(4)) if first & flag else usual

        end = number(LAST_END, sides[direction].end)
        seq = number(LAST_SEQ, end)
        ack = number(LAST_ACK, sides[direction].maxack)
        last = TcpLast(
            first & 15, direction, retrans, kind, wscale, flags, window, seq, ack, end
        )  # fmt: skip
        return last, sides


@dataclass(frozen=True)
class Compact:
    """COMPACT: a state among Linux hosts."""

    id: bytes
    creatorid: bytes
    original: Tuple
    proto: int = 17
    reply: Tuple | None = None
    """None: as without NAT, for protocols with ports."""
    status: int = 0
    timeout: int = 0
    age: int = 0
    direction: int = 2
    confirm: bool = False
    in_use: bool = True
    tcp: tuple[TcpLast, tuple[TcpSide, TcpSide]] | None = None
    values: dict[str | int, Any] = field(default_factory=dict)
    """Attributes; of SCTP and GRE also what the protocol needs to know."""

    HEAD: ClassVar = struct.Struct("!8s4sBBHII")

    @property
    def name(self) -> Id:
        return Id(self.id, self.creatorid)

    def pack(self) -> bytes:
        source, sport, destination, dport = self.original
        reply = self.reply or self.original.inverted()
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        flags = self.direction << 6
        flags |= IPV6 * (family == socket.AF_INET6) | CONFIRM * self.confirm | IN_USE * self.in_use
        ends = b""
        if (reply.source, reply.sport) != (destination, dport):
            flags |= REPLY_SOURCE
            ends += pack_end(reply.source, reply.sport, family)
        if (reply.destination, reply.dport) != (source, sport):
            flags |= REPLY_DESTINATION
            ends += pack_end(reply.destination, reply.dport, family)
        data = self.HEAD.pack(
            self.id, self.creatorid, flags, self.proto, self.status, self.timeout, self.age
        )
        data += socket.inet_pton(family, source) + socket.inet_pton(family, destination)
        data += sport.to_bytes(2) + dport.to_bytes(2) + ends
        values = dict(self.values)
        if self.tcp:
            data += pack_tcp(*self.tcp)
        if own := OWN.get(self.proto):
            _, layout, _ = ATTRIBUTES[13 if self.proto == GRE else 12]
            assert layout
            data += layout.pack(*values.pop(own))
        return words(data + pack_attributes(values))

    @classmethod
    def unpack(cls, data: bytes) -> Compact:
        id, creatorid, flags, proto, status, timeout, age = cls.HEAD.unpack_from(data)
        rest = Rest(data[cls.HEAD.size :])
        family, size = (socket.AF_INET6, 16) if flags & IPV6 else (socket.AF_INET, 4)

        def address() -> str:
            return socket.inet_ntop(family, rest.take(size))

        source, destination = address(), address()
        original = Tuple(source, *_order(rest.unpack("!HH"), destination))
        inverted = original.inverted()
        there, back = inverted[:2], inverted[2:]
        if flags & REPLY_SOURCE:
            there = (address(), *rest.unpack("!H"))
        if flags & REPLY_DESTINATION:
            back = (address(), *rest.unpack("!H"))
        tcp = rest.tcp() if proto == TCP else None
        values: dict[str | int, Any] = {}
        if own := OWN.get(proto):
            _, layout, _ = ATTRIBUTES[13 if proto == GRE else 12]
            assert layout
            values[own] = layout.unpack(rest.take(layout.size))
        values |= unpack_attributes(rest.data)
        return cls(
            id, creatorid, original, proto, Tuple(*there, *back), status, timeout, age,
            flags >> 6, bool(flags & CONFIRM), bool(flags & IN_USE), tcp, values,
        )  # fmt: skip


def _order(ports: tuple[Any, ...], destination: str) -> tuple[int, str, int]:
    sport, dport = ports
    return sport, destination, dport
