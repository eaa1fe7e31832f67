# SPDX-License-Identifier: GPL-2.0
"""Runs in a guest of a cluster: does what cluster.py asks for over the
virtio-serial port carp.control, one line of JSON for each request and answer.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, "/carp/qemu-tests")

from lib.kmsg import Kmsg  # noqa: E402

PORT = "/dev/virtio-ports/carp.control"


class Agent:
    """The requests, one method each; what they return is the answer."""

    def __init__(self) -> None:
        self.spawned: dict[int, tuple[subprocess.Popen, Any]] = {}
        self.connections: dict[int, socket.socket] = {}
        self.log = Kmsg()

    def run(self, command: list[str], timeout: float) -> dict[str, Any]:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
        return {"code": done.returncode, "stdout": done.stdout, "stderr": done.stderr}

    def spawn(self, command: list[str]) -> int:
        output = tempfile.TemporaryFile()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        self.spawned[process.pid] = (process, output)
        return process.pid

    def output(self, pid: int) -> str:
        _, output = self.spawned[pid]
        output.seek(0)
        return output.read().decode(errors="replace")

    def stop(self, pid: int) -> str:
        process, _ = self.spawned[pid]
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        output = self.output(pid)
        del self.spawned[pid]
        return output

    def connect(self, address: str, port: int) -> int:
        """A TCP connection, which stays; returns its own port."""
        connection = socket.create_connection((address, port), 10)
        own = connection.getsockname()[1]
        self.connections[own] = connection
        return own

    def exchange(self, port: int, text: str, timeout: float) -> str:
        """Sends something, and returns as much of an answer."""
        connection = self.connections[port]
        connection.settimeout(timeout)
        connection.sendall(text.encode())
        answer = b""
        while len(answer) < len(text):
            data = connection.recv(len(text) - len(answer))
            if not data:
                raise ConnectionError("the other end has hung up")
            answer += data
        return answer.decode()

    def hang_up(self, port: int) -> None:
        self.connections.pop(port).close()

    def read(self, path: str) -> str:
        return base64.b64encode(Path(path).read_bytes()).decode()

    def write(self, path: str, content: str, mode: int) -> None:
        Path(path).write_bytes(base64.b64decode(content))
        os.chmod(path, mode)

    def complaints(self) -> list[str]:
        """The kernel's log since the last time, if anything in it is a complaint."""
        lines = self.log.read()
        complaints = self.log.complaints()
        self.log.lines.clear()
        return lines if complaints else []

    def reset(self) -> None:
        """As after boot, but for the log: nothing runs, nothing is configured."""
        for pid in list(self.spawned):
            self.stop(pid)
        for port in list(self.connections):
            self.hang_up(port)
        subprocess.run(("ip", "-all", "netns", "delete"), check=True)
        for module in ("carp", "pfsync_conntrack"):
            if os.path.exists(f"/sys/module/{module}"):
                subprocess.run(("rmmod", module), check=True)
        subprocess.run(("nft", "flush", "ruleset"), check=True)
        for device in os.listdir("/sys/class/net"):
            if device == "lo":
                continue
            if os.path.exists(f"/sys/class/net/{device}/device"):
                for words in ("addr flush dev", "neigh flush dev"):
                    subprocess.run(("ip", *words.split(), device), check=True)
                subprocess.run(("ip", "link", "set", "dev", device, "down"), check=True)
            else:
                subprocess.run(("ip", "link", "del", "dev", device), check=False)


def main() -> None:
    agent = Agent()
    # "end" is no method: its answer is the last thing that is said
    with open(PORT, "r+b", buffering=0) as port:
        received = b""
        while True:
            data = port.read(1 << 16)
            if not data:  # nobody is connected yet
                time.sleep(0.05)
                continue
            received += data
            while b"\n" in received:
                line, _, received = received.partition(b"\n")
                request = json.loads(line)
                name = request.pop("request")
                if name == "end":
                    port.write(b'{"answer": null}\n')
                    return
                method: Callable[..., Any] = getattr(agent, name)
                try:
                    answer: dict[str, Any] = {"answer": method(**request)}
                except Exception as e:
                    answer = {"error": f"{type(e).__name__}: {e}"}
                data = (json.dumps(answer) + "\n").encode()
                while data:
                    data = data[port.write(data) :]


main()
