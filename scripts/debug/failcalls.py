#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs in a guest with the debug kernel (see test-debug), and has every call fail by
which the modules register something, while they are loaded and configured.

Each operation is repeated with its first, second, ... such call failing. What fails
must say so, and must have changed nothing.
"""

from __future__ import annotations

import sys

sys.path.insert(0, "/carp/qemu-tests")

import failing_calls  # noqa: E402
import failing_carp  # noqa: E402
import failing_modules  # noqa: E402
import failing_pfsync  # noqa: E402
from failing import report, use  # noqa: E402
from lib.rtnl import Rtnl  # noqa: E402


def main() -> int:
    failing_calls.prepare()
    use(failing_calls.CALLS)
    failing_modules.loading("carp", "pfsync_conntrack", "pfsync_memory")
    failing_carp.configuration(failing_carp.Links())
    failing_carp.namespaces()
    rtnl = Rtnl()
    failing_pfsync.making(rtnl)
    for table in ("conntrack", "memory"):
        failing_pfsync.configuration(rtnl, table)
    return report()


if __name__ == "__main__":
    sys.exit(main())
