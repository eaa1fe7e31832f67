# SPDX-License-Identifier: GPL-2.0
"""python3 -m bench [GROUP...]: measures, in a guest, and leaves /out/results.json.

A group that fails does not keep the others from being measured, but the run fails.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
import traceback

from lib.clock import wait_for
from lib.kmsg import Kmsg
from lib.process import run

from bench.results import Results

GROUPS = ("advertisements", "outage", "hosts", "packets", "takeover", "pfsync", "idle", "flood")


def unload(module: str) -> bool:
    """Whether it is away."""
    run(("rmmod", module), check=False)
    return not os.path.exists(f"/sys/module/{module}")


def main() -> int:
    wanted = sys.argv[1:] or GROUPS
    unknown = set(wanted) - set(GROUPS)
    if unknown:
        print(f"there is no group {', '.join(unknown)}: {', '.join(GROUPS)}")
        return 2
    results = Results(kernel=os.uname().release)
    failed = []
    for name in wanted:
        print(f"{name}:", flush=True)
        start = time.monotonic()
        log = Kmsg()
        run(("insmod", "/carp/carp.ko"))
        try:
            importlib.import_module(f"bench.{name}").bench(results)
        except Exception:
            traceback.print_exc()
            failed.append(name)
        # a namespace with very many entries goes some time after its end
        wait_for(lambda: unload("pfsync_conntrack"), 60, "pfsync_conntrack is unloaded")
        run(("rmmod", "carp"))
        complaints = log.complaints()
        log.close()
        if complaints:
            print(*log.lines, sep="\n")
            failed.append(name)
        results.write("/out/results.json")
        # what there is by now survives a guest that does not
        with contextlib.suppress(OSError):
            results.write("/dev/virtio-ports/carp.progress", indent=None)
        print(f"  ({time.monotonic() - start:.1f} s of the guest's time)", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


sys.exit(main())
