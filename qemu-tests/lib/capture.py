# SPDX-License-Identifier: GPL-2.0
"""To record packets, with the kernel's timestamps.

The socket collects by itself while the test goes on, and is read afterwards:
in virtual time a program that reads along would slow down what it watches.
"""

from __future__ import annotations

import ctypes
import functools
import os
import socket
import struct
from dataclasses import dataclass

from lib.process import run

SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
ETH_P_ALL = 3
PACKET_OUTGOING = 4
SOL_PACKET = 263
PACKET_STATISTICS = 6
ROOM = 64 << 20

# The kernel begins to stamp packets some time after the first socket asks for it, and one
# without a stamp gets the time at which it is read. So one asks from the beginning.
_stamps = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
_stamps.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


@dataclass(frozen=True)
class Packet:
    """A recorded frame. A VLAN tag that was in it is lost."""

    time: int
    """Nanoseconds of CLOCK_REALTIME."""
    device: str
    outgoing: bool
    data: bytes

    def __str__(self) -> str:
        way = "from" if self.outgoing else "to"
        return f"{self.time / 1e9:.6f} {way} {self.device}: {self.data.hex()}"


@functools.cache
def compile_filter(expression: str) -> bytes:
    """tcpdump's expression as the kernel's struct sock_filter, many times."""
    lines = run(("tcpdump", "-ddd", "-y", "EN10MB", expression)).stdout.split("\n")
    return b"".join(
        struct.pack("HBBI", *map(int, line.split())) for line in lines[1 : int(lines[0]) + 1]
    )


def bind_to_all_devices(s: socket.socket) -> None:
    """As socket.bind() cannot, which wants the name of a device (packet(7))."""
    address = struct.pack("=HHiHBB8s", socket.AF_PACKET, socket.htons(ETH_P_ALL), 0, 0, 0, 0, b"")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.bind(s.fileno(), address, len(address)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Capture:
    """What passes a device from now on. Made by Host.capture()."""

    def __init__(self, device: str | None, only: str) -> None:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        s.setblocking(False)
        if only:
            program = compile_filter(only)
            buffer = ctypes.create_string_buffer(program, len(program))
            fprog = struct.pack("HP", len(program) // 8, ctypes.addressof(buffer))
            s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)
        # bound last: nothing comes in before the filter stands
        if device:
            s.bind((device, ETH_P_ALL))
        else:
            bind_to_all_devices(s)
        self._socket = s
        self._packets: list[Packet] = []

    def packets(self) -> list[Packet]:
        """All packets so far, in the order in which they passed."""
        while True:
            try:
                data, control, _, address = self._socket.recvmsg(65536, 64)
            except BlockingIOError:
                break
            seconds, nanoseconds = struct.unpack("qq", control[0][2][:16])
            self._packets.append(
                Packet(
                    seconds * 1_000_000_000 + nanoseconds,
                    address[0],
                    address[2] == PACKET_OUTGOING,
                    data,
                )
            )
        _, dropped = struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        if dropped:
            raise AssertionError(f"a capture had no room for {dropped} packets")
        return list(self._packets)

    def sent(self) -> list[Packet]:
        return [p for p in self.packets() if p.outgoing]

    def received(self) -> list[Packet]:
        return [p for p in self.packets() if not p.outgoing]

    def close(self) -> None:
        self._socket.close()
