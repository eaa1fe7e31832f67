# SPDX-License-Identifier: GPL-2.0
"""Time in a guest.

In virtual time a nanosecond is an instruction and an idle guest jumps to its
next timer, so waiting is free and working takes time. Hence: measure between
timestamps that the kernel put on packets, never between two lines of Python.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

MILLISECOND = 1_000_000
SECOND = 1_000_000_000

Result = TypeVar("Result")


def is_virtual() -> bool:
    """Whether run-guest gave this guest virtual time."""
    with open("/carp/time") as f:
        return f.read().strip() == "virtual"


def now() -> int:
    """The clock of packet timestamps: CLOCK_REALTIME in nanoseconds."""
    return time.time_ns()


def busy() -> float:
    """The seconds that the processors have worked since boot: in virtual time,
    thousands of millions of instructions."""
    with open("/proc/stat") as stat:
        fields = stat.readline().split()[1:]
    # user nice system idle iowait irq softirq ...
    return sum(int(f) for i, f in enumerate(fields[:8]) if i not in (3, 4)) / 100


def host_cost() -> float:
    """What the guest has cost its host since boot, in busy seconds of the guest: to
    wake it up from idleness is dear, about as much as 12,000 instructions."""
    with open("/proc/stat") as stat:
        interrupts = next(int(line.split()[1]) for line in stat if line.startswith("intr"))
    return busy() + interrupts * 12e-6


def wait_for(
    predicate: Callable[[], Result], timeout: float, what: str, interval: float = 0.01
) -> Result:
    """Waits until the predicate gives something true, and returns that; fails
    after so many seconds, naming what it waited for."""
    end = time.monotonic() + timeout
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() >= end:
            raise AssertionError(f"waited {timeout:g} s in vain: {what}")
        time.sleep(interval)
