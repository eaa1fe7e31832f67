# SPDX-License-Identifier: GPL-2.0
"""Segments of TCP that nobody has asked for, and whether they came through."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from lib.capture import Packet
from lib.frames import checksum, mac_bytes

SYN, RST, ACK = 0x02, 0x04, 0x10
# a text that no other traffic has
MARK = b"forged segment "


@dataclass(frozen=True)
class Segment:
    """A segment of TCP, IPv4 or IPv6."""

    source: str
    sport: int
    destination: str
    dport: int
    flags: int = ACK
    seq: int = 1
    ack: int = 1
    number: int = 0

    @property
    def payload(self) -> bytes:
        return MARK + b"%d" % self.number if not self.flags & SYN else b""

    def frame(self, to: str) -> bytes:
        """As an Ethernet frame to this address."""
        source = ipaddress.ip_address(self.source).packed
        destination = ipaddress.ip_address(self.destination).packed
        ports = struct.pack("!HH", self.sport, self.dport)
        rest = struct.pack("!BBHHH", 5 << 4, self.flags, 65535, 0, 0)
        tcp = ports + struct.pack("!II", self.seq % 2**32, self.ack % 2**32) + rest + self.payload
        pseudo = source + destination + struct.pack("!II", len(tcp), 6)
        tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
        if len(source) == 4:
            header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0)
            header += source + destination
            header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
            kind = b"\x08\x00"
        else:
            header = struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + source + destination
            kind = b"\x86\xdd"
        return mac_bytes(to) + bytes((2, 0, 0, 0, 0, 0x66)) + kind + header + tcp


def came_through(packets: list[Packet], *segments: Segment) -> list[Segment]:
    """Which of the segments are among the packets, whatever was translated in them."""

    def is_it(segment: Segment, data: bytes) -> bool:
        if segment.flags & SYN:
            return struct.pack("!HHI", segment.sport, segment.dport, segment.seq) in data
        return data.endswith(segment.payload)

    return [s for s in segments if any(is_it(s, packet.data) for packet in packets)]


def last_seen(packets: list[Packet], sport: int) -> tuple[int, int, int]:
    """Of the last IPv4 segment from a port: the destination port, the sequence number
    behind it, what it acknowledges."""
    for packet in reversed(packets):
        data = packet.data
        if data[12:14] != b"\x08\x00" or data[23] != 6 or MARK in data:
            continue
        at = 14 + (data[14] & 15) * 4
        source, destination, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", data, at)
        if source == sport:
            (length,) = struct.unpack_from("!H", data, 16)
            end = seq + length - (at - 14) - (offset >> 4) * 4 + (flags & 3 != 0)
            return destination, end % 2**32, ack
    raise AssertionError(f"nothing came from port {sport}")
