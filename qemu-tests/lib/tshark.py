# SPDX-License-Identifier: GPL-2.0
"""Frames as tshark reads them with dist/wireshark/carp.lua."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from lib.process import run

SCRIPT = "/usr/share/carp/carp.lua"
ETHERNET = 1
# tshark loads no scripts for root
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=/tmp")
BETWEEN = "\x1f"


def write_pcap(path: Path, frames: Iterable[bytes]) -> None:
    """A file of Ethernet frames, a second apart, as tcpdump -w makes it."""
    with path.open("wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, ETHERNET))
        for second, frame in enumerate(frames, 1):
            f.write(struct.pack("<IIII", second, 0, len(frame), len(frame)) + frame)


def dissect(frames: list[bytes], *fields: str) -> list[dict[str, list[str]]]:
    """For each frame the values of these fields, in the order in which they stand in it; as
    "info" what the list of packets shows, as "expert" what is wrong with it. No frame may
    lead to an error of the script."""
    names = ["_ws.col.protocol", "_ws.col.info", "_ws.lua.error", "_ws.expert.message", *fields]
    path = Path("/tmp/frames.pcap")
    write_pcap(path, frames)
    path.chmod(0o644)
    words = [word for name in names for word in ("-e", name)]
    separators = ("-E", "separator=/t", "-E", f"aggregator={BETWEEN}", "-E", "occurrence=a")
    done = run(
        (*NOBODY, "tshark", "-X", f"lua_script:{SCRIPT}", "-nr", str(path), "-T", "fields",
         *words, *separators),
        timeout=600,
    )  # fmt: skip
    assert "Lua" not in done.stderr, done.stderr
    found = []
    for line in done.stdout.splitlines():
        values = [value.split(BETWEEN) if value else [] for value in line.split("\t")]
        protocol, info, error, expert, *rest = values
        assert not error, (error, info)
        # of IP: what goes to 224.0.0.0/24 should have a TTL of 1
        expert = [words for words in expert if "Time To Live" not in words]
        it = dict(zip(fields, rest, strict=True))
        found.append({"protocol": protocol, "info": info, "expert": expert, **it})
    assert len(found) == len(frames), done
    return found
