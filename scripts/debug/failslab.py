#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""failslab.py carp|pfsync: runs in a guest with the debug kernel (see test-debug), and
has every allocation fail that the modules make, or cause, while they are loaded,
configured and used.

Each operation is repeated with its first, second, ... allocation failing. What fails
must say so, and must have changed nothing.
"""

from __future__ import annotations

import sys

sys.path.insert(0, "/carp/qemu-tests")

import failing_carp  # noqa: E402
import failing_modules  # noqa: E402
import failing_pfsync  # noqa: E402
from failing import FAILSLAB, count_calls_through, knob, module_text, report, symbol  # noqa: E402
from lib.rtnl import Rtnl  # noqa: E402


def carp() -> None:
    failing_modules.loading("carp")
    count_calls_through(*module_text("carp"))
    failing_carp.configuration(failing_carp.Links())
    failing_carp.namespaces()
    failing_carp.traffic()


def pfsync() -> None:
    failing_modules.loading("pfsync_conntrack", "pfsync_memory")
    rtnl = Rtnl()
    count_calls_through(*module_text("carp"))
    failing_pfsync.making(rtnl)
    for table in ("conntrack", "memory"):
        failing_pfsync.configuration(rtnl, table)
    # what the adapter allocates for a packet before carp.ko hears of it
    for module in ("carp", "pfsync_conntrack"):
        count_calls_through(*module_text(module))
        failing_pfsync.frames(rtnl)
        failing_pfsync.traffic()


def main() -> int:
    if not FAILSLAB.exists():
        sys.exit("debug-failslab: this kernel has no failslab")
    # Allocations that may sleep fail as well; what failed is not told, for it looks
    # like a complaint.
    # A reference tracker that gets no memory says what run-guest takes for a complaint.
    start, end = symbol("ref_tracker_alloc")
    for name, value in {
        "reject-start": hex(start),
        "reject-end": hex(end),
        "probability": 0,
        "ignore-gfp-wait": "N",
        "cache-filter": "N",
        "task-filter": "N",
        "verbose": 0,
        "stacktrace-depth": 32,
    }.items():
        knob(name, value)
    {"carp": carp, "pfsync": pfsync}[sys.argv[1]]()
    return report()


if __name__ == "__main__":
    sys.exit(main())
