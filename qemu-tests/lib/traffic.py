# SPDX-License-Identifier: GPL-2.0
"""Traffic that goes on while a test does something: connections, streams, an FTP.

Each runs in a thread of its own and notes when it got on, so that a test can ask for
the longest pause. What breaks it is kept, and raised by stop().
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Callable

from lib.host import Host

CHUNK = bytes(range(256)) * 16


class Traffic:
    """Something that goes on in the background."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps = 0
        self.longest = 0.0
        self.last = time.monotonic()
        self.error: BaseException | None = None
        self.stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, *loops: Callable[[], None]) -> None:
        for loop in loops:
            thread = threading.Thread(target=self._run, args=(loop,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except BaseException as error:
            if not self.stopping.is_set():
                self.error = error

    def got_on(self) -> None:
        now = time.monotonic()
        self.longest = max(self.longest, now - self.last)
        self.last = now
        self.steps += 1

    def reset(self) -> None:
        """Forgets pauses so far."""
        self.longest = 0.0
        self.last = time.monotonic()

    def check(self) -> None:
        if self.error:
            raise AssertionError(f"{self.name}: {self.error!r}") from self.error

    def stop(self) -> None:
        self.stopping.set()
        self.close()
        for thread in self._threads:
            thread.join(10)
        self.check()

    def close(self) -> None:
        """Wakes up threads that wait."""


def listen(host: Host, port: int, family: int = socket.AF_INET) -> socket.socket:
    listener = host.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("" if family == socket.AF_INET else "::", port))
    listener.listen()
    listener.settimeout(30)
    return listener


def connect(
    client: Host, server: Host, address: str, port: int, to: int | None = None
) -> tuple[socket.socket, socket.socket]:
    """A connection through the gateway: the caller's end, and the other. `to` is the
    port at which the server listens, if it is another one."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = listen(server, to or port, family)
    caller = client.socket(family, socket.SOCK_STREAM)
    caller.settimeout(30)
    caller.connect((address, port))
    answerer, _ = listener.accept()
    listener.close()
    for end in (caller, answerer):
        end.settimeout(60)
    return caller, answerer


class Tcp(Traffic):
    """A TCP connection that carries data one way, as fast as `pause` lets it."""

    def __init__(
        self, name: str, sender: socket.socket, receiver: socket.socket, pause: float = 0.002
    ) -> None:
        super().__init__(name)
        self.sender, self.receiver, self.pause = sender, receiver, pause
        self.sent, self.received = hashlib.sha1(), hashlib.sha1()
        self._sent = self._received = 0
        self.start(self._send, self._receive)

    def _send(self) -> None:
        while not self.stopping.is_set():
            self.sender.sendall(CHUNK)
            self.sent.update(CHUNK)
            self._sent += len(CHUNK)
            time.sleep(self.pause)

    def _receive(self) -> None:
        while data := self.receiver.recv(1 << 16):
            self.received.update(data)
            self._received += len(data)
            self.got_on()
        if not self.stopping.is_set():
            raise ConnectionError("closed in the middle")

    def stop(self) -> None:
        self.stopping.set()
        self._threads[0].join(60)
        with contextlib.suppress(OSError):
            self.sender.shutdown(socket.SHUT_WR)
        self._threads[1].join(60)
        self.check()
        assert self._sent == self._received, f"{self.name}: {self._sent - self._received} missing"
        assert self.sent.digest() == self.received.digest(), f"{self.name}: other data came"
        self.sender.close()
        self.receiver.close()


class Idle(Traffic):
    """A TCP connection that says nothing until it is asked to."""

    def __init__(self, name: str, a: socket.socket, b: socket.socket) -> None:
        super().__init__(name)
        self.ends = (a, b)

    def speak(self) -> None:
        """Something both ways."""
        a, b = self.ends
        for speaker, hearer in ((a, b), (b, a)):
            speaker.sendall(b"still there?")
            assert hearer.recv(64) == b"still there?", f"{self.name} was closed"
        self.got_on()

    def close(self) -> None:
        for end in self.ends:
            end.close()


class Udp(Traffic):
    """A stream of datagrams, each answered; what is lost on the way is sent again by
    nobody, only its going on is watched."""

    def __init__(
        self, name: str, client: Host, server: Host, address: str, port: int, pause: float = 0.01
    ) -> None:
        super().__init__(name)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._server = server.socket(family, socket.SOCK_DGRAM)
        self._server.bind(("" if family == socket.AF_INET else "::", port))
        self._client = client.socket(family, socket.SOCK_DGRAM)
        self._client.connect((address, port))
        self.sources: set[str] = set()
        self.pause = pause
        for end in (self._server, self._client):
            end.settimeout(0.5)
        self.start(self._send, self._answer, self._receive)

    def _send(self) -> None:
        number = 0
        while not self.stopping.is_set():
            with contextlib.suppress(ConnectionError, OSError):
                self._client.send(b"%d" % number)
            number += 1
            time.sleep(self.pause)

    def _answer(self) -> None:
        while not self.stopping.is_set():
            with contextlib.suppress(TimeoutError):
                data, peer = self._server.recvfrom(64)
                self.sources.add(f"{peer[0]}:{peer[1]}")
                self._server.sendto(data, peer)

    def _receive(self) -> None:
        while not self.stopping.is_set():
            with contextlib.suppress(TimeoutError, ConnectionError):
                self._client.recv(64)
                self.got_on()

    def stop(self) -> None:
        super().stop()
        self._server.close()
        self._client.close()
        # another source would be another connection to the server
        assert len(self.sources) <= 1, f"{self.name} came from {self.sources}"


class Ftp(Traffic):
    """An FTP server and client, in active mode: the server connects to the address and
    port that the client names, which only a helper on the way can make true."""

    def __init__(self, client: Host, server: Host, address: str) -> None:
        super().__init__("ftp")
        self.client_host, self.server_host, self.address = client, server, address
        self._control, self._session = connect(client, server, address, 21)
        self._session.settimeout(60)
        self._lines = self._control.makefile("rb")
        self._commands = self._session.makefile("rb")
        self._session.sendall(b"220 ready\r\n")
        assert self._lines.readline() == b"220 ready\r\n"
        # the helper looks at lines after the first one
        self._exchange(b"USER anonymous", b"230 welcome")

    def _exchange(self, command: bytes, answer: bytes) -> bytes:
        """The client says something, and the server answers; what it heard."""
        self._control.sendall(command + b"\r\n")
        heard = self._commands.readline()
        self._session.sendall(answer + b"\r\n")
        assert self._lines.readline() == answer + b"\r\n"
        return heard

    def announce(self) -> None:
        """The client says where it waits for a data connection."""
        self._listener = listen(self.client_host, 0)
        here = self.client_host.address.replace(".", ",")
        high, low = divmod(self._listener.getsockname()[1], 256)
        command = self._exchange(f"PORT {here},{high},{low}".encode(), b"200 fine").decode()
        *octets, high, low = command.removeprefix("PORT ").split(",")
        address = ".".join(octets)
        assert address != self.client_host.address, "the helper did not translate it"
        self._announced = address, int(high) * 256 + int(low)

    def connect_data(self) -> tuple[socket.socket, socket.socket]:
        """The server connects to where it was told: the client's end, and the server's."""
        data = self.server_host.socket(socket.AF_INET, socket.SOCK_STREAM)
        data.settimeout(30)
        data.connect(self._announced)
        mine, _ = self._listener.accept()
        self._listener.close()
        mine.settimeout(60)
        data.settimeout(60)
        self.got_on()
        return mine, data

    def open_data(self) -> tuple[socket.socket, socket.socket]:
        """A data connection: the client's end, and the server's."""
        self.announce()
        return self.connect_data()

    def noop(self) -> None:
        """The control connection works, both ways."""
        assert self._exchange(b"NOOP", b"200 still here") == b"NOOP\r\n"

    def close(self) -> None:
        for end in (self._lines, self._commands, self._control, self._session):
            end.close()
