# SPDX-License-Identifier: GPL-2.0
"""How one allocation is made to fail, and an operation to be repeated with each of its
allocations failing once.

The kernel counts: /proc/self/fail-nth makes the n-th allocation of a system call
fail and no other. Only allocations with the module in their call chain count.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

FAILSLAB = Path("/sys/kernel/debug/failslab")
# More allocations than any operation makes; what comes so far counts for ever.
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
def failing(n: int) -> Iterator[Callable[[], bool]]:
    """The n-th allocation of what is done meanwhile fails; the result tells, at the
    end, whether there was an n-th."""
    fd = os.open("/proc/self/fail-nth", os.O_RDWR)
    came = False
    os.pwrite(fd, str(n).encode(), 0)
    try:
        yield lambda: came
    finally:
        came = os.pread(fd, 16, 0).strip() == b"0"
        os.pwrite(fd, b"0", 0)
        os.close(fd)


Outcome = str | None  # an error in words, or nothing


def attempt(action: Callable[[], object]) -> Outcome:
    try:
        action()
    except OSError as error:
        # EINVAL: register_netdevice does not notice that a name got no memory
        # until it uses it
        if error.errno not in (errno.ENOMEM, errno.ENOBUFS, errno.EINVAL):
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
    """Repeats prepare, action, undo with another allocation failing in the action
    each time, or only every second, third, .... `look` shows what a failed action must
    not change."""
    errors = 0
    for n in range(1, ENOUGH, every):
        prepare()
        before = look() if look else None
        with failing(n) as came:
            outcome = attempt(action)
        if outcome:
            errors += 1
            if outcome.startswith("unexpected"):
                failures.append(f"{name}, allocation {n}: {outcome}")
            elif look and look() != before:
                failures.append(f"{name}, allocation {n}: failed, but {before} is {look()} now")
        elif look and not came() and look() == before:
            failures.append(f"{name}: did nothing")
        undo()
        if not came():
            some = f"every {every}th of up to " if every > 1 else ""
            print(f"- {name}: {some}{n - 1} allocations, {errors} of them make it fail")
            return
    failures.append(f"{name}: no end after {ENOUGH} allocations")


def at_random(percent: int) -> None:
    """So many of a hundred allocations fail from now on, in softirqs as well."""
    for name, value in {"probability": percent, "times": -1, "interval": 1, "space": 0}.items():
        knob(name, value)
