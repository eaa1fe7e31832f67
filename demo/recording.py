# SPDX-License-Identifier: GPL-2.0
"""What a run of the demo recorded, as a file; story.py writes it, picture.py draws it.

All times are nanoseconds since the first line that was typed on a host.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

MILLISECOND = 1_000_000
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Change:
    """A host's carp0 entered a state: "init", "backup" or "master"."""

    time: int
    state: str


@dataclass(frozen=True)
class Advertisement:
    """One that left a host's eth0, or one that arrived there."""

    time: int
    farewell: bool


@dataclass
class Host:
    """One of the two that share the address."""

    name: str
    advbase: int
    advskew: int
    changes: list[Change] = field(default_factory=list)
    sent: list[Advertisement] = field(default_factory=list)
    heard: list[Advertisement] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    """When it answered a ping; every sixteenth is kept."""
    cut: list[tuple[int, int]] = field(default_factory=list)
    """From when to when its switch port was dead."""

    @property
    def patience(self) -> int:
        """How long it takes a silent master for alive: 3 x advbase + advskew/256 s."""
        return 3 * self.advbase * SECOND + self.advskew * SECOND // 256


@dataclass(frozen=True)
class Ping:
    """A request of the client; received is 0 if no reply came."""

    sent: int
    received: int


@dataclass(frozen=True)
class Label:
    """Something that happened, in words, for the picture."""

    time: int
    host: str
    text: str


@dataclass(frozen=True)
class Silence:
    """The longest time between two replies."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class Handover:
    """The address went from one host to the other: a place to look at closely."""

    time: int
    """When the new master's first advertisement left it."""
    title: str
    lines: list[str]


@dataclass
class Recording:
    """The whole run."""

    kernel: str
    address: str
    hosts: list[Host] = field(default_factory=list)
    pings: list[Ping] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    handovers: list[Handover] = field(default_factory=list)
    end: int = 0

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Recording:
        data = json.loads(path.read_text())
        hosts = [
            Host(
                **{
                    **host,
                    "changes": [Change(**c) for c in host["changes"]],
                    "sent": [Advertisement(**a) for a in host["sent"]],
                    "heard": [Advertisement(**a) for a in host["heard"]],
                    "cut": [(start, end) for start, end in host["cut"]],
                }
            )
            for host in data["hosts"]
        ]
        return cls(
            **{
                **data,
                "hosts": hosts,
                "pings": [Ping(**p) for p in data["pings"]],
                "labels": [Label(**label) for label in data["labels"]],
                "handovers": [Handover(**h) for h in data["handovers"]],
            }
        )


def longest_silence(pings: list[Ping]) -> Silence:
    """Where the client waited longest for the next reply."""
    replies = sorted(p.received for p in pings if p.received)
    return max((Silence(a, b) for a, b in itertools.pairwise(replies)), key=lambda s: s.length)
