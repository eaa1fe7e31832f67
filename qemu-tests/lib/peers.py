# SPDX-License-Identifier: GPL-2.0
"""Other implementations of CARP and VRRP, as programs on a host."""

from __future__ import annotations

import os
import tempfile

from lib.host import Host
from lib.lan import VIP
from lib.process import Process


def _script(*lines: str) -> str:
    handle, path = tempfile.mkstemp(prefix="peer", dir="/run")
    with os.fdopen(handle, "w") as f:
        f.write("\n".join(("#!/bin/sh", *lines, "")))
    os.chmod(path, 0o755)
    return path


class Ucarp:
    """ucarp(8) on a host; when it is master, the host has the address."""

    def __init__(
        self,
        host: Host,
        vhid: int = 1,
        advbase: int = 1,
        advskew: int = 0,
        password: str = "secret",
        address: str = VIP,
        preempt: bool = True,
        ratio: int = 3,
    ) -> None:
        self.host = host
        self.address = address
        up = _script(f'exec ip addr add {address}/24 dev "$1"')
        down = _script(f'exec ip addr del {address}/24 dev "$1"')
        words = [
            "ucarp", "-i", "eth0", "-s", host.address, "-v", str(vhid), "-p", password,
            "-a", address, "-u", up, "-d", down, "-b", str(advbase), "-k", str(advskew),
            "-r", str(ratio), "-z",
        ]  # fmt: skip
        self.process: Process = host.spawn(*words, *(["-P"] if preempt else []))

    @property
    def state(self) -> str:
        """ "init", "backup" or "master"."""
        words = [
            line.rsplit(" ", 1)[-1].lower()
            for line in self.process.output().splitlines()
            if "Switching to state" in line
        ]
        return words[-1] if words else "init"

    def is_master(self) -> bool:
        return self.state == "master"

    def is_backup(self) -> bool:
        return self.state == "backup"
