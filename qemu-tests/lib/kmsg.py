# SPDX-License-Identifier: GPL-2.0
"""The kernel's log, read as it grows: a complaint fails the test that caused it."""

from __future__ import annotations

import os
import re


class Kmsg:
    """What the kernel logs from now on, each line with its level before it, as in
    "4: martian source"."""

    def __init__(self, path: str = "/dev/kmsg") -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self._fd, 0, os.SEEK_END)
        with open(os.environ.get("CARP_COMPLAINTS", "/carp/complaints")) as f:
            self._complaints = re.compile(f.read().strip())
        self.lines: list[str] = []
        """All lines that were read so far."""
        self.times: list[int] = []
        """When each of them was written, in microseconds since the boot."""

    def read(self) -> list[str]:
        """The lines since the last call."""
        new = []
        while True:
            try:
                record = os.read(self._fd, 8192)
            except BlockingIOError:
                break
            except BrokenPipeError:
                new.append("0: BUG: the test's log outgrew the kernel's buffer")
                self.times.append(0)
                continue
            # "priority,sequence,time,flags;text", then lines of properties
            prefix, _, text = record.decode(errors="replace").partition(";")
            priority, _, stamp, *_ = prefix.split(",")
            level = int(priority) & 7
            self.times.append(int(stamp))
            new.append(f"{level}: {text.splitlines()[0]}")
        self.lines += new
        return new

    def complaints(self) -> list[str]:
        """Those of all lines that no good kernel writes."""
        self.read()
        return [line for line in self.lines if self._complaints.search(line)]

    def close(self) -> None:
        os.close(self._fd)


def note(text: str) -> None:
    """Writes to the kernel's log, for whoever reads it later."""
    with open("/dev/kmsg", "w") as f:
        f.write(f"<6>{text}\n")
