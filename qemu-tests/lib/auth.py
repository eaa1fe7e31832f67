# SPDX-License-Identifier: GPL-2.0
"""Authentication of whole advertisements: set on hosts, counted there, and spoken by a peer that
is none of ours.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field, replace

from lib import auth_wire as w
from lib import carp as c
from lib.host import Host
from lib.rtnl import attribute, attributes, nest

KEY = bytes(range(1, 33))
OTHER_KEY = bytes(range(101, 133))

# include/uapi/linux/if_carp.h
IFLA_CARP_STATS = 9
AUTH, KEYS, REMOVE, ACTIVE, WINDOW, MONOTONIC = range(25, 31)
CARP_AUTH_KEY = 5
KEY_ID, KEY_SECRET = 1, 2
COUNTERS = dict(zip(w.OUTCOMES, range(21, 28), strict=True))


def key(number: int, secret: bytes) -> bytes:
    """A key as the kernel is given it."""
    return nest(CARP_AUTH_KEY, attribute(KEY_ID, bytes([number])), attribute(KEY_SECRET, secret))


def change(
    host: Host,
    mode: str | None = None,
    *,
    keys: dict[int, bytes] | None = None,
    active: int | None = None,
    remove: int | None = None,
    window: int | None = None,
    monotonic: bool | None = None,
    name: str = "carp0",
) -> None:
    """Changes what is said here, in one request."""
    data = []
    if mode is not None:
        data.append(attribute(AUTH, bytes([w.MODES.index(mode)])))
    if keys:
        data.append(nest(KEYS, *(key(*one) for one in keys.items())))
    if active is not None:
        data.append(attribute(ACTIVE, bytes([active])))
    if remove is not None:
        data.append(attribute(REMOVE, bytes([remove])))
    if window is not None:
        data.append(attribute(WINDOW, struct.pack("=I", window)))
    if monotonic is not None:
        data.append(attribute(MONOTONIC, bytes([monotonic])))
    host.rtnl.change_link(name, "carp", *data)


def start(host: Host, mode: str = "enforce", *, name: str = "carp0", **more: object) -> None:
    """Has the interface authenticate by key 1."""
    options = {"keys": {1: KEY}, "active": 1, **more}
    change(host, mode, name=name, **options)  # type: ignore[arg-type]


def shown(host: Host, name: str = "carp0") -> dict[int, bytes]:
    """The attributes of the interface."""
    return host.link(name).data


def counts(host: Host, name: str = "carp0") -> dict[str, int]:
    """How often what became of an advertisement's trailer."""
    stats = dict(attributes(shown(host, name)[IFLA_CARP_STATS]))
    return {word: struct.unpack("=Q", stats[number])[0] for word, number in COUNTERS.items()}


def counted(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """What was counted meanwhile."""
    return {word: after[word] - before[word] for word in after if after[word] != before[word]}


@dataclass
class Peer:
    """A host that advertises, with a clock of its own."""

    advertisement: c.Advertisement = field(default_factory=lambda: c.Advertisement(advskew=0))
    key: bytes = KEY
    key_id: int = 1
    ahead: float = 0
    """By how many seconds its clock is ahead of the world's."""
    last: int = 0

    def trailer(self, **fields: object) -> w.Trailer:
        """That of the next advertisement."""
        at = w.Trailer.at(self.key_id, time.time_ns() + int(self.ahead * 1e9))
        if at.sequence <= self.last:
            at = w.Trailer.numbered(self.key_id, self.last + 1)
        self.last = at.sequence
        return replace(at, **fields)  # type: ignore[arg-type]

    def payload(self, trailer: w.Trailer | None = None) -> bytes:
        """The 64 bytes of an advertisement."""
        advertisement = self.advertisement
        return w.sign_advertisement(
            self.key, advertisement.source, advertisement.payload(), trailer or self.trailer()
        )

    def frame(self, payload: bytes | None = None) -> bytes:
        """The next advertisement, or another payload, from this host to the group."""
        return self.advertisement.frame(self.payload() if payload is None else payload)
