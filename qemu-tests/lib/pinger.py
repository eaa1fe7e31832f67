# SPDX-License-Identifier: GPL-2.0
"""To ping a thousand times a second, and to learn what was lost, and when.

The program is qemu-tests/tools/pinger.c. A ping a millisecond does not resolve
a millisecond; the timestamps of the replies and of captured packets do.
"""

from __future__ import annotations

import array
import itertools
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from lib import kernel
from lib.clock import MILLISECOND, is_virtual
from lib.process import Process

PINGER = "/carp/bin/pinger"


@dataclass(frozen=True)
class Gap:
    """A time without replies, in nanoseconds of CLOCK_REALTIME."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1e9


@dataclass(frozen=True)
class Ping:
    """One request; received is 0 if no reply came."""

    sent: int
    received: int


class Pinger:
    """Pings an address until stop(). Made by Host.ping()."""

    def __init__(self, spawn: Callable[..., Process], address: str, interval: float) -> None:
        handle, self._file = tempfile.mkstemp(prefix="pings")
        os.close(handle)
        self.address = address
        self._process = spawn(PINGER, address, str(round(interval * 1e6)), self._file)
        self._process.wait_output("ready", 5)

    def interrupt(self) -> None:
        """From now on it sends in the middle of whatever a program has the kernel do, as a
        packet comes from a wire; else it waits for that, if there is one processor."""
        os.sched_setscheduler(self._process.pid, os.SCHED_FIFO, os.sched_param(1))

    def stop(self) -> list[Ping]:
        """Stops and returns every request, in order."""
        self._process.stop()
        words = array.array("Q")
        with open(self._file, "rb") as f:
            words.frombytes(f.read())
        os.unlink(self._file)
        if not words:
            raise AssertionError(f"{self._process} left nothing: {self._process.output()}")
        return [Ping(*pair) for pair in zip(words[::2], words[1::2], strict=True)]


def lost(pings: list[Ping]) -> list[Ping]:
    """The requests without a reply."""
    return [p for p in pings if not p.received]


def survived(pings: list[Ping]) -> bool:
    """Whether a handover has lost none of them. On the kernel that looks for mistakes, and
    in real time, the new master needs longer than from one to the next."""
    if kernel.keeps_time():
        return not lost(pings)
    bound = kernel.work(MILLISECOND / 2) if is_virtual() else 100 * MILLISECOND
    gap = longest_gap(pings)
    late = any(p.received for p in pings[-20:])
    return late and gap.end - gap.start < bound


def longest_gap(pings: list[Ping]) -> Gap:
    """The longest time between two successive replies: the outage."""
    replies = sorted(p.received for p in pings if p.received)
    if len(replies) < 2:
        raise AssertionError(f"only {len(replies)} of {len(pings)} pings were answered")
    return max(
        (Gap(a, b) for a, b in itertools.pairwise(replies)), key=lambda gap: gap.end - gap.start
    )
