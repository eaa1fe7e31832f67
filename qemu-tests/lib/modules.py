# SPDX-License-Identifier: GPL-2.0
"""Loading and unloading the project's modules."""

from __future__ import annotations

from pathlib import Path

from lib.clock import wait_for
from lib.process import run


def file(name: str) -> str:
    """Where a module is, in the guest."""
    return f"/carp/{name}.ko"


def is_loaded(name: str) -> bool:
    return f"\n{name} " in "\n" + Path("/proc/modules").read_text()


def insmod(*names: str) -> None:
    for name in names:
        run(("insmod", file(name)))


def rmmod(*names: str) -> None:
    for name in names:
        run(("rmmod", name))


def rmmod_unused(name: str) -> None:
    """When nobody uses it any more: a namespace dies in its own time, and many states
    take the kernel a while."""
    users = Path(f"/sys/module/{name}/refcnt")
    wait_for(lambda: int(users.read_text()) == 0, 60, f"nobody uses {name} any more")
    rmmod(name)
