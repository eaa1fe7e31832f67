# SPDX-License-Identifier: GPL-2.0
"""conntrackd(8) on a host: what there is beside pfsync."""

from __future__ import annotations

import os
import tempfile

from lib.clock import wait_for
from lib.host import Host
from lib.process import Process

CONFIGURATION = """
Sync {{
    Mode FTFW {{
        DisableExternalCache On
    }}
    Multicast {{
        IPv4_address 225.0.0.50
        Group 3780
        IPv4_interface {address}
        Interface {device}
        SndSocketBuffer 24985600
        RcvSocketBuffer 24985600
        Checksum on
    }}
}}
General {{
    HashSize 65536
    HashLimit 1048576
    LogFile off
    Syslog off
    LockFile {folder}/lock
    UNIX {{
        Path {folder}/socket
    }}
    NetlinkBufferSize 67108864
    NetlinkBufferSizeMaxGrowth 134217728
    Filter From Kernelspace {{
        Protocol Accept {{
            TCP
            UDP
        }}
    }}
}}
"""


class Conntrackd:
    """One in FTFW mode, which like pfsync writes states into the kernel at once, and
    sends again what nobody confirms."""

    def __init__(self, host: Host, address: str, device: str) -> None:
        self.host = host
        folder = tempfile.mkdtemp(prefix="conntrackd", dir="/run")
        self.file = f"{folder}/conf"
        with open(self.file, "w") as f:
            f.write(CONFIGURATION.format(folder=folder, address=address, device=device))
        self.process: Process = host.spawn("conntrackd", "-C", self.file)
        wait_for(lambda: os.path.exists(f"{folder}/socket"), 10, f"conntrackd runs on {host}")

    def command(self, *words: str) -> str:
        return self.host.run("conntrackd", "-C", self.file, *words, timeout=600).stdout
