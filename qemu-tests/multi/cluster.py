# SPDX-License-Identifier: GPL-2.0
"""Guests on one wire, each with a kernel of its own that can be killed.

In real time, for the clocks of several guests that skip their idle time have
nothing to do with each other: bounds are loose here, and exact in the tests of
one guest. What is tested is what those cannot show: a real network card with
its receive filter, and the death of a kernel.
"""

from __future__ import annotations

import array
import base64
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hub import Hub

HERE = Path(__file__).parent
TOP = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

from lib.pinger import Ping  # noqa: E402

BOOT_TIMEOUT = 300
INTERFACE = "eth0"

# QEMU's e1000 receives nothing for a second after each change of its receive
# filter (hw/net/e1000.c, flush_queue_timer): after configuring, wait that long.
# What changes the filter at a takeover would be found out by it.
DEAF = 1.5


def wait_for(predicate: Callable[[], Any], timeout: float, what: str) -> Any:
    """Like lib.clock's; asking a guest takes some milliseconds by itself."""
    end = time.monotonic() + timeout
    while not (result := predicate()):
        if time.monotonic() >= end:
            raise AssertionError(f"waited {timeout:g} s in vain: {what}")
        time.sleep(0.02)
    return result


class Line:
    """A Unix socket over which lines of JSON go forth and back."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rb")

    def send(self, message: dict[str, Any]) -> None:
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, timeout: float) -> dict[str, Any]:
        self._socket.settimeout(timeout)
        line = self._file.readline()
        if not line:
            raise ConnectionError("the guest has gone")
        return json.loads(line)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Node:
    """A guest with one network card, eth0."""

    def __init__(self, name: str, number: int, folder: Path, card: str) -> None:
        self.name = name
        self.folder = folder
        self.card = card
        self.address = f"10.0.0.{number}"
        self.mac = f"02:00:00:00:00:{number:02x}"
        self._process: subprocess.Popen | None = None
        self._control: Line | None = None
        self._qmp: Line | None = None

    def __str__(self) -> str:
        return self.name

    # -- life and death

    def start(self) -> None:
        """Begins to boot; wait_booted() waits for the end of it."""
        for end in ("control", "qmp"):
            (self.folder / f"{self.name}.{end}").unlink(missing_ok=True)
        with open(self.folder / f"{self.name}.output", "ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def command(self) -> tuple[str, ...]:
        """What runs as long as the node lives, with its sockets in the folder."""
        path = str(self.folder / self.name)
        return (
            str(TOP / "scripts/run-guest"), "--real", "--memory", "896", "--timeout", "3600",
            "--nic", f"{self.card},{path}.net,{self.mac}", "--control", f"{path}.control",
            "--qmp", f"{path}.qmp", "--console", f"{path}.console", "--",
            "python3", "/carp/qemu-tests/multi/agent.py",
        )  # fmt: skip

    def wait_booted(self) -> None:
        wait_for(self._connect, 60, f"QEMU runs for {self}")
        assert self._qmp
        self._qmp.receive(10)
        self.qmp("qmp_capabilities")
        self.ask("run", BOOT_TIMEOUT, command=["true"], timeout=10)

    def _connect(self) -> bool:
        assert self._process
        if self._process.poll() is not None:
            raise AssertionError(f"{self} ended while it booted: {self.output()}")
        try:
            self._control = Line(self.folder / f"{self.name}.control")
            self._qmp = Line(self.folder / f"{self.name}.qmp")
        except OSError:
            return False
        return True

    def output(self) -> str:
        """What run-guest said."""
        return (self.folder / f"{self.name}.output").read_text(errors="replace")

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _gone(self) -> None:
        for line in (self._control, self._qmp):
            if line:
                line.close()
        self._process = self._control = self._qmp = None

    def kill(self) -> None:
        """The machine loses its power. Returns when it is dead."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        self._gone()

    def end(self) -> None:
        """Ends in good order, and fails if run-guest found fault with the kernel."""
        assert self._process
        self.ask("end")
        code = self._process.wait(60)
        self._gone()
        if code:
            raise AssertionError(f"{self} ended with {code}: {self.output()}")

    # -- QEMU

    def qmp(self, command: str, **arguments: Any) -> None:
        assert self._qmp
        self._qmp.send({"execute": command, "arguments": arguments})
        while True:
            answer = self._qmp.receive(10)
            if "error" in answer:
                raise AssertionError(f"QEMU of {self}: {answer['error']['desc']}")
            if "return" in answer:
                return

    def freeze(self) -> None:
        """The machine stands still, and does not know it."""
        self.qmp("stop")

    def thaw(self) -> None:
        self.qmp("cont")

    def pull_cable(self) -> None:
        """The network card loses its link."""
        self.qmp("set_link", name="net0", up=False)

    def plug_cable(self) -> None:
        self.qmp("set_link", name="net0", up=True)

    # -- what runs in it

    def ask(self, request: str, wait: float = 30, **arguments: Any) -> Any:
        assert self._control, f"{self} is dead"
        self._control.send({"request": request, **arguments})
        answer = self._control.receive(wait)
        if "error" in answer:
            raise AssertionError(f"on {self}: {request} {arguments}: {answer['error']}")
        return answer["answer"]

    def run(self, *command: str, check: bool = True, timeout: float = 30) -> str:
        """Runs a command to its end and returns what it printed."""
        done = self.ask("run", timeout + 10, command=command, timeout=timeout)
        if check and done["code"]:
            words = done["stderr"].strip() or done["stdout"].strip() or "without a word"
            raise AssertionError(
                f"on {self}: {shlex.join(command)} failed with {done['code']}: {words}"
            )
        return done["stdout"]

    def spawn(self, *command: str) -> int:
        """Starts a program that runs beside the test; returns its pid."""
        return self.ask("spawn", command=command)

    def output_of(self, pid: int) -> str:
        return self.ask("output", pid=pid)

    def stop(self, pid: int) -> str:
        return self.ask("stop", pid=pid)

    def write(self, path: str, content: str, mode: int = 0o644) -> None:
        self.ask("write", path=path, content=base64.b64encode(content.encode()).decode(), mode=mode)

    def read(self, path: str) -> bytes:
        return base64.b64decode(self.ask("read", path=path))

    def connect(self, address: str, port: int) -> Connection:
        return Connection(self, self.ask("connect", address=address, port=port))

    def setup(self) -> None:
        """eth0 with the node's own address."""
        self.run("ip", "addr", "add", f"{self.address}/24", "dev", INTERFACE)
        self.run("ip", "link", "set", "dev", INTERFACE, "up")
        wait_for(self.has_link, 10, f"{INTERFACE} of {self} is up")

    def has_link(self) -> bool:
        return "state UP" in self.run("ip", "link", "show", "dev", INTERFACE)

    def ping(self, address: str, microseconds: int = 5000) -> NodePinger:
        return NodePinger(self, address, microseconds)


class Connection:
    """A TCP connection from a node to somebody who sends back what he gets."""

    def __init__(self, node: Node, port: int) -> None:
        self._node = node
        self.port = port

    def check(self, timeout: float = 5) -> None:
        """Something goes there and comes back."""
        text = f"{time.monotonic_ns()}"
        answer = self._node.ask(
            "exchange", timeout + 10, port=self.port, text=text, timeout=timeout
        )
        assert answer == text

    def hang_up(self) -> None:
        self._node.ask("hang_up", port=self.port)


class NodePinger:
    """qemu-tests/tools/pinger.c on a node."""

    def __init__(self, node: Node, address: str, microseconds: int) -> None:
        self._node = node
        self._file = f"/tmp/pings.{time.monotonic_ns()}"
        self._pid = node.spawn("/carp/bin/pinger", address, str(microseconds), self._file)
        wait_for(lambda: "ready" in node.output_of(self._pid), 10, f"{node} pings {address}")

    def stop(self) -> list[Ping]:
        """Stops and returns every request, in order."""
        self._node.stop(self._pid)
        words = array.array("Q")
        words.frombytes(self._node.read(self._file))
        return [Ping(*pair) for pair in zip(words[::2], words[1::2], strict=True)]


class Cluster:
    """Hosts a and b, and a client, on one hub."""

    def __init__(self, folder: Path, card: str) -> None:
        self.folder = folder
        self.a = Node("a", 2, folder, card)
        self.b = Node("b", 3, folder, card)
        self.client = Node("client", 100, folder, card)
        self.nodes = [self.a, self.b, self.client]
        self.hub = Hub(folder, [node.name for node in self.nodes])

    def prepare(self) -> None:
        """All nodes live, and are as after boot, with their own addresses."""
        dead = [node for node in self.nodes if not node.alive]
        for node in dead:
            node.start()
        for node in dead:
            node.wait_booted()
        for node in self.nodes:
            self.hub.heal(node.name)
            if node not in dead:
                node.plug_cable()
                node.ask("reset")
        self.hub.forget()
        for node in self.nodes:
            node.setup()
        time.sleep(DEAF)

    def complaints(self) -> list[str]:
        """What the kernels of the living have to complain about."""
        return [
            f"{node}: {line}"
            for node in self.nodes
            if node.alive
            for line in node.ask("complaints")
        ]

    def close(self) -> None:
        try:
            for node in self.nodes:
                if node.alive:
                    node.end()
        finally:
            for node in self.nodes:
                if node.alive:
                    node.kill()
            self.hub.close()


def make_folder() -> Path:
    """Where the sockets are; Unix sockets want short paths. Not named by a process: in
    the build root these numbers repeat, and a run that was killed leaves its folder."""
    run = Path(os.environ["CARP_CACHE"]) / "run"
    run.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="cluster.", dir=run))
