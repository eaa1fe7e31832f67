# SPDX-License-Identifier: GPL-2.0
"""What softirqs take of the processor while something goes on: time that is charged to
nobody. The kernel notes when one begins and ends; its own accounting counts by ticks.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

TRACING = "/sys/kernel/tracing"
EVENTS = ("irq/softirq_entry", "irq/softirq_exit")
BUFFER = 16384
"""Kilobytes."""
LINE = re.compile(r" (\d+): softirq_(entry|exit):")


@dataclass
class Softirqs:
    """What was between start and end; times are in nanoseconds."""

    elapsed: int = 0
    spent: int = 0
    count: int = 0
    longest: int = 0

    @property
    def share(self) -> float:
        """Of the processor, in percent."""
        return 100 * self.spent / self.elapsed


def _write(name: str, value: str) -> None:
    with open(f"{TRACING}/{name}", "w") as f:
        f.write(value)


@contextmanager
def watched() -> Iterator[Softirqs]:
    """Fills in what was spent when the block has ended. In virtual time."""
    # the one clock that is shown to the nanosecond, which a tick of it is in virtual time
    _write("trace_clock", "x86-tsc")
    _write("buffer_size_kb", str(BUFFER))
    _write("trace", "")
    for event in EVENTS:
        _write(f"events/{event}/enable", "1")
    found = Softirqs()
    start = time.monotonic_ns()
    try:
        yield found
    finally:
        found.elapsed = time.monotonic_ns() - start
        for event in EVENTS:
            _write(f"events/{event}/enable", "0")
        begin = None
        with open(f"{TRACING}/trace") as trace:
            for line in trace:
                if match := LINE.search(line):
                    at = int(match[1])
                    if match[2] == "entry":
                        begin = at
                    elif begin is not None:
                        found.spent += at - begin
                        found.longest = max(found.longest, at - begin)
                        found.count += 1
                        begin = None
        _write("buffer_size_kb", "1")
