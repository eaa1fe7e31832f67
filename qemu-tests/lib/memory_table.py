# SPDX-License-Identifier: GPL-2.0
"""The state table in memory (pfsync_memory.ko), in which happens what a test says.

Its words are those of memory/command.rs.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from lib.host import Host

DEVICE = "/dev/pfsync_memory"


@dataclass(frozen=True)
class Entry:
    """A line of the table."""

    line: str
    protocol: str
    timeout: int
    words: dict[str, list[str]] = field(compare=False)

    def __getitem__(self, key: str) -> str:
        """The first value of that name."""
        return self.words[key][0]

    def __contains__(self, text: str) -> bool:
        return text in self.line


def say(host: Host, command: str) -> None:
    """Something happens in the table of a host; OSError, if it cannot."""
    with host.inside():
        fd = os.open(DEVICE, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, command.encode())
        finally:
            os.close(fd)


def _read(host: Host) -> list[str]:
    with host.inside(), open(DEVICE) as f:
        return f.read().splitlines()


def entries(host: Host) -> list[Entry]:
    """What is in the table of a host."""
    result = []
    for line in _read(host):
        if line.startswith("#"):
            continue
        words: dict[str, list[str]] = {}
        for key, value in re.findall(r"(\w+)=(\S+)", line):
            words.setdefault(key, []).append(value)
        protocol, _, timeout = line.split()[:3]
        result.append(Entry(line, protocol, int(timeout), words))
    return result


def figures(host: Host) -> dict[str, int]:
    """What has become of first packets, and what is set."""
    (line,) = (line for line in _read(host) if line.startswith("#"))
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line)}
