# SPDX-License-Identifier: GPL-2.0
"""How many instructions the processor executes while something goes on.

In virtual time that is the time in which it is not idle. The kernel's own accounting
is of no use for it: it counts by ticks, and counts an interrupt that comes to an idle
processor as idleness, which is where a driver does all its work. So the kernel is
asked to note when it goes idle, and when an interrupt ends that: idle time lies
between the two. A note costs some hundred instructions; Load.overhead measures them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

TRACING = "/sys/kernel/tracing"
IDLE = "power/cpu_idle"
INTERRUPTS = (
    "irq_vectors/local_timer_entry",
    "irq_vectors/reschedule_entry",
    "irq_vectors/call_function_entry",
    "irq_vectors/call_function_single_entry",
    "irq/irq_handler_entry",
)
BUFFER = 65536
"""Kilobytes."""
LINE = re.compile(r" (\d+): (\w+):")


@dataclass
class Load:
    """What went on between start and end."""

    nanoseconds: int = 0
    """How long it took."""
    instructions: int = 0
    """For how much of it the processor was busy."""
    wakes: int = 0
    """How often it was woken up."""
    longest: int = 0
    """The longest that it was busy between two idle times."""

    @property
    def share(self) -> float:
        """Of the processor, in percent."""
        return 100 * self.instructions / self.nanoseconds


def write(name: str, value: str) -> None:
    with open(f"{TRACING}/{name}", "w") as f:
        f.write(value)


def switch(on: bool) -> None:
    for event in (IDLE, *INTERRUPTS):
        write(f"events/{event}/enable", "1" if on else "0")


@contextmanager
def watched() -> Iterator[Load]:
    """Fills in the load when the block has ended."""
    write("tracing_on", "0")
    # the one clock that is shown to the nanosecond, which a tick of it is in virtual time
    write("trace_clock", "x86-tsc")
    write("buffer_size_kb", str(BUFFER))
    write("trace", "")
    # leaving idleness says nothing that the interrupt has not said
    write(f"events/{IDLE}/filter", "state != 4294967295")
    switch(True)
    load = Load()
    begin = time.monotonic_ns()
    try:
        write("tracing_on", "1")
        write("trace_marker", "start")
        yield load
        write("trace_marker", "end")
        write("tracing_on", "0")
        took = time.monotonic_ns() - begin
        evaluate(load)
        assert 0.9 * took < load.nanoseconds < took, "a tick of the clock is a nanosecond"
    finally:
        write("tracing_on", "0")
        switch(False)
        write("trace", "")


def evaluate(load: Load) -> None:
    start = end = idle_since = busy_since = None
    idle = 0
    with open(f"{TRACING}/trace") as trace:
        for line in trace:
            found = LINE.search(line)
            if not found:
                continue
            at, what = int(found[1]), found[2]
            if what == "tracing_mark_write":
                start, end = (at, end) if start is None else (start, at)
            elif what == "cpu_idle":
                # twice in a row: idleness was left for no interrupt that is noted
                if idle_since is None:
                    idle_since = at
                    if busy_since is not None:
                        load.longest = max(load.longest, at - busy_since)
            elif idle_since is not None:
                idle += at - idle_since
                idle_since, busy_since = None, at
                load.wakes += 1
    with open(f"{TRACING}/per_cpu/cpu0/stats") as f:
        lost = re.search(r"overrun: (\d+)", f.read())
    assert lost and lost[1] == "0", "the buffer for notes was too small"
    assert start is not None and end is not None
    load.nanoseconds = end - start
    load.instructions = load.nanoseconds - idle
