# SPDX-License-Identifier: GPL-2.0
"""Everything fails that a module does when it is loaded."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from failing import count_calls_through, failures, sweep, symbol

FINIT_MODULE, DELETE_MODULE = 313, 176
libc = ctypes.CDLL(None, use_errno=True)


def insmod(name: str) -> None:
    image = os.open(f"/carp/{name}.ko", os.O_RDONLY)
    try:
        if libc.syscall(FINIT_MODULE, image, b"", 0):
            raise OSError(ctypes.get_errno(), "insmod")
    finally:
        os.close(image)


def is_loaded(name: str) -> bool:
    return Path(f"/sys/module/{name}").exists()


def rmmod(name: str) -> None:
    if is_loaded(name) and libc.syscall(DELETE_MODULE, name.encode(), os.O_NONBLOCK):
        failures.append(f"rmmod {name}: {os.strerror(ctypes.get_errno())}")


def loading(*modules: str) -> None:
    """These modules' own start, from do_init_module on: what comes before is the
    kernel's. All others are loaded, at the end all are."""
    count_calls_through(*symbol("do_init_module"))
    for name in modules:
        rmmod(name)
        sweep(
            f"insmod {name}",
            lambda: None,
            lambda name=name: insmod(name),
            lambda name=name: rmmod(name),
            lambda name=name: is_loaded(name),
        )
        insmod(name)
