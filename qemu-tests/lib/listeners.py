# SPDX-License-Identifier: GPL-2.0
"""Who hears of every change on a host, to show that there was none."""

from __future__ import annotations

from lib.clock import wait_for
from lib.host import Host
from lib.process import Process


class Listeners:
    """All who hear of changes, and what they heard."""

    def __init__(self, host: Host) -> None:
        self.processes: list[Process] = [
            host.spawn("ip", "monitor", "link", "address", "route"),
            host.spawn("carpctl", "monitor"),
        ]
        self.host = host
        self.mtus = iter(range(40000, 50000))
        self.wait()

    def wait(self) -> None:
        """Returns when what happened before was heard."""
        known = self.processes[0].output().count(": lo:")

        def is_heard() -> bool:
            self.host.ip("link", "set", "lo", "mtu", str(next(self.mtus)))
            return self.processes[0].output().count(": lo:") > known

        wait_for(is_heard, 10, "ip monitor has heard of lo")

    def heard(self) -> str:
        """Without what is about lo."""
        self.wait()
        text = "".join(process.output() for process in self.processes)
        lines = [line for line in text.splitlines() if not line.startswith(" ")]
        return "\n".join(line for line in lines if ": lo:" not in line)
