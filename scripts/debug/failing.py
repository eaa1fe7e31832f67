# SPDX-License-Identifier: GPL-2.0
"""An operation is repeated with each of its allocations failing once, or each of its
calls of certain functions (failing_calls.py).

Of allocations the kernel counts: /proc/self/fail-nth makes the n-th of a system call
fail and no other. Only allocations with the module in their call chain count.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

FAILSLAB = Path("/sys/kernel/debug/failslab")
# More than any operation has of what can fail; what comes so far counts for ever.
ENOUGH = 400

failures: list[str] = []


def knob(name: str, value: object) -> None:
    (FAILSLAB / name).write_text(str(value))


def count_calls_through(start: int, end: int) -> None:
    """Only allocations with an address in this range in their call chain count."""
    knob("require-start", hex(start))
    knob("require-end", hex(end))


def module_text(name: str) -> tuple[int, int]:
    """Where the code of a module is."""
    for line in Path("/proc/modules").read_text().splitlines():
        words = line.split()
        if words[0] == name:
            start = int(Path(f"/sys/module/{name}/sections/.text").read_text(), 16)
            return start, start + int(words[1])
    raise LookupError(f"{name} is not loaded")


def symbol(name: str) -> tuple[int, int]:
    """A function of the kernel: its address and that of the next one."""
    lines = Path("/proc/kallsyms").read_text().splitlines()
    addresses = sorted({int(line.split()[0], 16) for line in lines})
    start = next(int(line.split()[0], 16) for line in lines if line.split()[2] == name)
    return start, addresses[addresses.index(start) + 1]


@contextlib.contextmanager
def failing_allocation(n: int) -> Iterator[Callable[[], bool]]:
    fd = os.open("/proc/self/fail-nth", os.O_RDWR)
    came = False
    os.pwrite(fd, str(n).encode(), 0)
    try:
        yield lambda: came
    finally:
        came = os.pread(fd, 16, 0).strip() == b"0"
        os.pwrite(fd, b"0", 0)
        os.close(fd)


@dataclass(frozen=True)
class Faults:
    """What can be made to fail in an operation, one at a time."""

    name: str
    nth: Callable[[int], AbstractContextManager[Callable[[], bool]]]
    """What `failing` is of them."""
    errors: tuple[int, ...]
    """What an operation may fail with then."""
    many: bool
    """So many that a part is enough of an operation like one before."""


ALLOCATIONS = Faults(
    "allocation",
    failing_allocation,
    # EINVAL: register_netdevice does not notice that a name got no memory until it
    # uses it
    (errno.ENOMEM, errno.ENOBUFS, errno.EINVAL),
    many=True,
)
_faults = ALLOCATIONS


def use(faults: Faults) -> None:
    """From now on it is these that fail."""
    global _faults
    _faults = faults


def failing(n: int) -> AbstractContextManager[Callable[[], bool]]:
    """The n-th in what is done meanwhile fails; the result tells, at the end, whether
    there was an n-th."""
    return _faults.nth(n)


def summary(name: str, count: int, errors: int, every: int = 1) -> None:
    some = f"every {every}th of up to " if every > 1 else ""
    print(f"- {name}: {some}{count} {_faults.name}s, {errors} of them make it fail")


Outcome = str | None  # an error in words, or nothing


def attempt(action: Callable[[], object]) -> Outcome:
    try:
        action()
    except OSError as error:
        if error.errno not in _faults.errors:
            return f"unexpected: {error}"
        return str(error)
    return None


def sweep(
    name: str,
    prepare: Callable[[], object],
    action: Callable[[], object],
    undo: Callable[[], object],
    look: Callable[[], object] | None = None,
    every: int = 1,
) -> None:
    """Repeats prepare, action, undo with something else failing in the action each
    time, or, if there is much, only every second, third, .... `look` shows what a
    failed action must not change."""
    errors = 0
    every = every if _faults.many else 1
    for n in range(1, ENOUGH, every):
        prepare()
        before = look() if look else None
        with failing(n) as came:
            outcome = attempt(action)
        if outcome:
            errors += 1
            if outcome.startswith("unexpected"):
                failures.append(f"{name}, {_faults.name} {n}: {outcome}")
            elif look and look() != before:
                now = look()
                failures.append(f"{name}, {_faults.name} {n}: failed, but {before} is {now} now")
        elif look and not came() and look() == before:
            failures.append(f"{name}: did nothing")
        undo()
        if not came():
            summary(name, n - 1, errors, every)
            return
    failures.append(f"{name}: no end after {ENOUGH} {_faults.name}s")


def report() -> bool:
    """Says what was not as it should be. Whether there was anything."""
    for failure in failures:
        print(f"debug-failing: {failure}")
    return bool(failures)


def at_random(percent: int) -> None:
    """So many of a hundred allocations fail from now on, in softirqs as well."""
    for name, value in {"probability": percent, "times": -1, "interval": 1, "space": 0}.items():
        knob(name, value)
