# SPDX-License-Identifier: GPL-2.0
"""The wire between guests: what QEMU's stream sockets are plugged into.

A hub, not a switch: every guest's network card hears everything, so what it
does not pass on was dropped by its own receive filter. As a learning switch it
shows what becomes of hosts whose addresses move.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Frame:
    """What passed the hub: when (time.monotonic_ns), and from which port."""

    time: int
    port: str
    data: bytes


class Port:
    """One guest's end."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.guest: socket.socket | None = None
        self.received = b""
        self.cut = False


class Hub:
    """Runs in a thread of its own until close()."""

    def __init__(self, folder: Path, names: list[str], learning: bool = False) -> None:
        self.learning = learning
        self._learned: dict[bytes, Port] = {}
        self._frames: list[Frame] = []
        self._selector = selectors.DefaultSelector()
        self._ports = {name: Port(name, folder / f"{name}.net") for name in names}
        for port in self._ports.values():
            self._selector.register(port.listener, selectors.EVENT_READ, (self._accept, port))
        self._running = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._running = False
        self._thread.join()
        for port in self._ports.values():
            port.listener.close()
            if port.guest:
                port.guest.close()

    def cut(self, name: str) -> None:
        """Nothing passes this port any more, though its carrier stays."""
        self._ports[name].cut = True

    def heal(self, name: str) -> None:
        self._ports[name].cut = False

    def frames(self, since: int = 0) -> list[Frame]:
        """What passed, from this time on."""
        return [frame for frame in list(self._frames) if frame.time >= since]

    def forget(self) -> None:
        self._frames.clear()
        self._learned.clear()

    def _run(self) -> None:
        while self._running:
            for key, _ in self._selector.select(0.2):
                action, port = key.data
                action(port)

    def _accept(self, port: Port) -> None:
        """A guest that was started again takes its predecessor's place."""
        guest, _ = port.listener.accept()
        guest.setblocking(False)
        self._drop(port)
        port.guest, port.received = guest, b""
        self._selector.register(guest, selectors.EVENT_READ, (self._read, port))

    def _drop(self, port: Port) -> None:
        if port.guest:
            self._selector.unregister(port.guest)
            port.guest.close()
            port.guest = None

    def _read(self, port: Port) -> None:
        assert port.guest
        try:
            data = port.guest.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(port)
            return
        port.received += data
        # QEMU's format: a length of 32 bits before each frame
        while len(port.received) >= 4:
            length = struct.unpack_from("!I", port.received)[0]
            if len(port.received) < 4 + length:
                break
            frame = port.received[4 : 4 + length]
            port.received = port.received[4 + length :]
            if not port.cut:
                self._forward(port, frame)

    def _forward(self, port: Port, frame: bytes) -> None:
        self._frames.append(Frame(time.monotonic_ns(), port.name, frame))
        targets = [p for p in self._ports.values() if p is not port]
        if self.learning:
            self._learned[frame[6:12]] = port
            known = self._learned.get(frame[:6])
            if known and not frame[0] & 1:
                targets = [known] if known is not port else []
        for target in targets:
            if target.guest and not target.cut:
                # A guest that does not keep up loses frames, as on any wire. A
                # part of a frame cannot be sent, so what is begun is ended.
                with contextlib.suppress(OSError):
                    self._send(target.guest, struct.pack("!I", len(frame)) + frame)

    @staticmethod
    def _send(guest: socket.socket, data: bytes) -> None:
        sent = guest.send(data)
        if sent < len(data):
            guest.setblocking(True)
            try:
                guest.sendall(data[sent:])
            finally:
                guest.setblocking(False)
