# SPDX-License-Identifier: GPL-2.0
"""Flows, and which virtual host each belongs to: written anew from the protocol's
description, so that the module's sharing out is not judged by its own code.
"""

from __future__ import annotations

import random
import socket
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lib import carp
from lib.frames import checksum, mac_bytes
from lib.host import Host
from lib.lan import VIP

FLOOD = "/carp/bin/flood"
BURST = 64
"""So many packets it sends without a pause."""
PORT = 9
SO_RCVBUFFORCE = 33
IP_FREEBIND = 15


def owner(source: str, destination: str, nodes: int) -> int:
    """Which of so many virtual hosts has packets between two addresses."""
    a, b = (int.from_bytes(socket.inet_aton(address)) for address in (source, destination))
    return (a ^ b) % nodes


@dataclass(frozen=True)
class Flow:
    """A datagram that says its number, from a client of its own."""

    number: int
    source: str
    port: int

    def frame(self, to: str, mac: str = "02:00:00:00:00:64", target: str = VIP) -> bytes:
        payload = struct.pack("!I", self.number)
        udp = struct.pack("!HHHH", self.port, PORT, 8 + len(payload), 0) + payload
        header = struct.pack(
            "!BBHHHBBH", 0x45, 0, 20 + len(udp), self.number & 0xFFFF, 0, 64, 17, 0
        )
        header += socket.inet_aton(self.source) + socket.inet_aton(target)
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
        return mac_bytes(to) + mac_bytes(mac) + b"\x08\x00" + header + udp


def make(count: int, seed: int = 1) -> list[Flow]:
    """So many flows, of clients that 10.0.0.100 would be the gateway of."""
    at = random.Random(seed)
    return [
        Flow(
            number,
            f"10.{at.randrange(1, 255)}.{at.randrange(256)}.{at.randrange(1, 255)}",
            at.randrange(1024, 65536),
        )
        for number in range(count)
    ]


def echo_request(source: str, to: str) -> bytes:
    """A ping of the VIP as an Ethernet frame to this MAC."""
    body = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + b"carp"
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return carp.frame(body, source=source, destination=VIP, to=mac_bytes(to), protocol=1)


def send(host: Host, frames: list[bytes], path: Path) -> None:
    """All these frames, with pauses so that none is lost for want of room."""
    path.write_bytes(b"".join(struct.pack("=H", len(frame)) + frame for frame in frames))
    assert int(host.run(FLOOD, "eth0", str(path)).stdout) == len(frames)


class Sink:
    """Where flows end on a host: a server at the shared address."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._socket = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        # the address may come later
        self._socket.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        self._socket.setblocking(False)
        self._socket.bind((VIP, PORT))

    def received(self) -> Counter[int]:
        """How often each flow was delivered here since the last call."""
        numbers: Counter[int] = Counter()
        while True:
            try:
                numbers[struct.unpack("!I", self._socket.recv(16))[0]] += 1
            except BlockingIOError:
                return numbers
