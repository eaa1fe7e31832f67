# SPDX-License-Identifier: GPL-2.0
"""Keys of pfsync interfaces, and a peer that signs its frames, as lib.auth_wire does."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib import auth_wire
from lib import pfsync as p
from lib.auth_wire import Trailer
from lib.host import Host
from lib.pfsync_wire import Action

KEYS = {1: bytes(range(32)), 2: bytes(range(100, 164)), 3: b"k" * 48}


def key_file(key_id: int) -> str:
    """A file with this key."""
    path = Path(tempfile.gettempdir()) / f"pfsync-key-{key_id}"
    if not path.exists():
        path.touch(0o600)
        path.write_text(f"hex:{KEYS[key_id].hex()}\n")
    return str(path)


def words(mode: str = "enforce", keys: Sequence[int] = (1,), active: int | None = 1) -> str:
    """Words of ip(8) for a mode, with keys to add and the one to sign with."""
    parts = [f"auth {mode}", *(f"authkey {key} {key_file(key)}" for key in keys)]
    if active is not None:
        parts.append(f"authactive {active}")
    return " ".join(parts)


def change(host: Host, mode: str, keys: Sequence[int] = (), active: int | None = None) -> None:
    p.change(host, words(mode, keys, active))


def judged(host: Host) -> dict[str, int]:
    """What became of the authentication of frames, where it is not 0."""
    stats = p.stats(host)
    found = {name: stats[f"auth_{name}"] for name in auth_wire.OUTCOMES}
    return {name: value for name, value in found.items() if value}


class Signing(p.Peer):
    """A peer on a host, which signs what it is to send; numbers grow."""

    def __init__(self, host: Host, *, key_id: int = 1, source: str = "", **options: Any) -> None:
        super().__init__(host, **options)
        self.key_id = key_id
        self.address = source or host.address
        self._last = 0

    def number(self) -> Trailer:
        """The next number."""
        trailer = Trailer.at(self.key_id, time.time_ns())
        self._last = max(trailer.sequence, self._last + 1)
        return self.numbered(self._last)

    def numbered(self, number: int) -> Trailer:
        """A trailer of this number."""
        return Trailer.numbered(self.key_id, number)

    def sign(self, frame: bytes, trailer: Trailer | None = None, key: bytes | None = None) -> bytes:
        key = key or KEYS[self.key_id]
        return auth_wire.sign_frame(key, self.address, frame, trailer or self.number())

    def say(self, *frames: bytes) -> None:
        """Signs and sends them."""
        self.send(*(self.sign(frame) for frame in frames))

    def meet(self, host: Host, more: str = "", **options: Any) -> None:
        """As pfsync.meet(), with authentication."""
        host.run("nft", "-f", "-", input=p.QUIET)
        p.create(host, f"{options.pop('words', words())} {more}", **options)
        self.wait(Action.UPD_REQ)
        self.say(p.bulk_frame())
        p.wait_bulk(host, timeout=2)
