# SPDX-License-Identifier: GPL-2.0
"""Which kernel a guest has: Debian's, or the one that looks for mistakes.

The second (scripts/debug-kernel) takes ten times as many instructions for the same,
and in virtual time instructions are time. A test asks here, and nowhere else, what
that means to it:

  @pytest.mark.figures   it is all about instructions, memory or microseconds: left out
  @pytest.mark.stock     it needs what that kernel was built without: left out
  times(n)               so many repetitions, which are there for the statistics
  work(nanoseconds)      how long work may take that is done beside what is tested
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from lib.clock import is_virtual
from lib.process import run

SLOWER = 40
FEWER = 10


def looks_for_mistakes() -> bool:
    return os.uname().release.endswith("-carp-debug")


def keeps_time() -> bool:
    """Whether bounds hold that are as narrow as virtual time and Debian's kernel allow."""
    return is_virtual() and not looks_for_mistakes()


def times(number: int) -> int:
    """So many, or a tenth of it, but two at least."""
    return max(number // FEWER, 2) if looks_for_mistakes() else number


def work(nanoseconds: float) -> float:
    """So long, on Debian's kernel in virtual time; generously more on the other, and where
    the host's processors do other things as well."""
    return nanoseconds if keeps_time() else nanoseconds * SLOWER


def load(*modules: str) -> None:
    """Loads modules of the kernel's own; the kernel that looks for mistakes has them
    built in."""
    run(("modprobe", "-a", *modules), check=not looks_for_mistakes())


def first_of_each(names: Iterable[str]) -> set[str]:
    """Of tests with several parameters the first."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(name.split("[")[0], name)
    return set(found.values())


def is_locked_down() -> bool:
    """As Debian's is under Secure Boot; not every kernel knows of it."""
    choices = Path("/sys/kernel/security/lockdown")
    return choices.exists() and "[none]" not in choices.read_text()
