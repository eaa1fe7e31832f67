# SPDX-License-Identifier: GPL-2.0
"""One call fails of those by which the modules register something, for another reason
than want of memory.

The module fail_calls says which functions; the kernel counts their calls, all
together, whoever makes them.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path

from failing import Faults
from failing_modules import insmod

FAIL_FUNCTION = Path("/sys/kernel/debug/fail_function")
MAY_FAIL = Path("/sys/kernel/debug/error_injection/list")
ERROR = errno.EBUSY


def knob(name: str, value: object) -> None:
    (FAIL_FUNCTION / name).write_text(str(value))


def may_fail() -> dict[str, str]:
    """Functions, and what they return if they fail."""
    lines = (line.split() for line in MAY_FAIL.read_text().splitlines())
    return {words[0].split("+")[0]: words[-1] for words in lines}


def prepare() -> None:
    """From now on they can be made to fail. Where a pointer is returned it is none."""
    before = may_fail()
    insmod("fail_calls")
    ours = {name: kind for name, kind in may_fail().items() if name not in before}
    if not ours:
        raise LookupError("fail_calls added no function to those that may fail")
    # A failure that was asked for is no complaint.
    for name, value in {"verbose": 0, "probability": 0, "interval": 1}.items():
        knob(name, value)
    for name, kind in ours.items():
        knob("inject", name)
        if kind == "ERRNO":
            knob(f"{name}/retval", hex((1 << 64) - ERROR))
    print(f"- {len(ours)} functions fail on request")


@contextlib.contextmanager
def failing_call(n: int) -> Iterator[Callable[[], bool]]:
    came = False
    knob("times", 1)
    # so many come before one fails, itself included
    knob("space", n)
    knob("probability", 100)
    try:
        yield lambda: came
    finally:
        knob("probability", 0)
        came = (FAIL_FUNCTION / "times").read_text().strip() == "0"


CALLS = Faults("call", failing_call, (ERROR, errno.ENOMEM, errno.ENOBUFS), many=False)
