# SPDX-License-Identifier: GPL-2.0
"""Random netlink: attributes as a program would send them, then damaged, for both link
kinds and for the generic netlink family. Whatever the kernel answers, it lives, it
leaks no interface, and election and states work as before.

--seed N begins with that seed, --seeds N takes so many one after the other.
"""

from __future__ import annotations

import errno
import random
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from lib import carp as c
from lib import conntrack, kernel, rtnl
from lib import genl as g
from lib import pfsync as p
from lib.clock import wait_for
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import VIP, Lan
from lib.rtnl import NLM_F_CREATE, NLM_F_EXCL, RTM_NEWLINK, NetlinkError, link_message

pytestmark = pytest.mark.usefixtures("pfsync")

REQUESTS = kernel.times(3000)
NAMES = ("carp0", "pfsync0")
"""The interfaces that are there and are changed; what is made besides has the name r0."""
REFUSALS = {
    errno.EINVAL, errno.ERANGE, errno.ENODEV, errno.EOPNOTSUPP, errno.ENOENT, errno.EEXIST,
    errno.EBUSY, errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.ENOTUNIQ, errno.E2BIG,
    errno.ENETDOWN, errno.EAFNOSUPPORT, errno.ENAMETOOLONG, errno.EPROTONOSUPPORT,
    errno.EPERM, errno.ENOSPC, errno.EPFNOSUPPORT, errno.ELOOP, errno.EMSGSIZE,
}  # fmt: skip
"""All but a lack of memory, a bad address, or a sentence that is none."""


@dataclass(frozen=True)
class Attribute:
    """A tree of attributes, of which some may lie."""

    kind: int
    value: bytes | list[Attribute]
    lie: int = 0
    """How much longer it says that it is."""
    flags: int = 0

    def pack(self) -> bytes:
        if isinstance(self.value, list):
            payload = b"".join(inner.pack() for inner in self.value)
            kind = self.kind | rtnl.NLA_F_NESTED
        else:
            payload, kind = self.value, self.kind
        length = (len(payload) + 4 + self.lie) & 0xFFFF
        header = struct.pack("=HH", length, (kind ^ self.flags) & 0xFFFF)
        return header + payload + bytes(-len(payload) % 4)


class Dice:
    """Makes attributes, and damages them."""

    def __init__(self, seed: int, host: Host) -> None:
        self.random = random.Random(seed)
        self.devices = [host.link(name).index for name in ("eth0", "lo", *NAMES)] + [0, 9999]

    def u8(self) -> bytes:
        return bytes([self.random.choice((0, 1, 2, 3, 100, 254, 255))])

    def u32(self) -> bytes:
        return struct.pack("=I", self.random.choice((0, 1, 7, 255, 1 << 31, 0xFFFFFFFF)))

    def device(self) -> bytes:
        return struct.pack("=I", self.random.choice(self.devices))

    def address(self) -> bytes:
        return self.random.choice(
            (bytes([10, 0, 0, 2]), bytes([10, 0, 0, 3]), bytes(4), bytes([224, 0, 0, 18]),
             bytes.fromhex("fd00") + bytes(13) + b"\3", bytes(16), b"\xff" * 16)
        )  # fmt: skip

    def word(self) -> bytes:
        return self.random.choice(
            (b"carp\0", b"inside\0", b"x" * 15 + b"\0", b"eth0", b"\0", b"a/b")
        )

    def several(self, make: Callable[[], Attribute]) -> list[Attribute]:
        return [make() for _ in range(self.random.choice((0, 1, 1, 2, 5, 16, 17, 33)))]

    def node(self) -> Attribute:
        return Attribute(1, [Attribute(1, self.u8()), Attribute(2, self.u8())])

    def key_id(self) -> bytes:
        return bytes([self.random.choice((0, 1, 1, 1, 2, 255))])

    def auth_key(self) -> Attribute:
        """A key with its id."""
        secret = self.random.randbytes(self.random.choice((0, 31, 32, 32, 64, 65)))
        return Attribute(5, [Attribute(1, self.key_id()), Attribute(2, secret)])

    def carp(self) -> list[Attribute]:
        """IFLA_CARP_..., those that are read only among them."""
        makers: dict[int, Callable[[], bytes | list[Attribute]]] = {
            1: self.u8, 2: self.device, 3: self.u8, 4: self.u8,
            5: lambda: self.random.randbytes(self.random.choice((0, 6, 19, 20))),
            6: self.u8, 7: self.u32, 9: lambda: self.several(self.node),
            10: lambda: self.several(self.node), 11: self.u8,
            12: lambda: self.several(lambda: Attribute(2, self.address())),
            13: self.u8, 14: lambda: self.several(lambda: Attribute(3, self.word())),
            15: self.word, 16: self.word, 17: self.u8, 18: self.u8, 19: self.u32,
        }  # fmt: skip
        return self.some(makers, usual=(1, 2, 3, 4, 5, 6, 10, 12, 15, 16))

    def pfsync(self) -> list[Attribute]:
        """IFLA_PFSYNC_..."""
        makers: dict[int, Callable[[], bytes | list[Attribute]]] = {
            1: self.device, 2: self.address, 3: self.u8, 4: self.u8, 5: self.u32, 6: self.u32,
            7: lambda: self.u32()[:2],
            8: lambda: self.random.choice((b"conntrack\0", b"conntrack", b"", b"x" * 40)),
            9: self.u8, 10: self.u32, 15: lambda: [],
            18: self.u8, 19: lambda: self.several(self.auth_key), 20: self.key_id,
            21: self.key_id, 22: self.u32, 23: self.u8,
        }  # fmt: skip
        return self.some(makers, usual=(1, 2, 3, 4, 5, 6, 7, 18, 19, 21))

    def family(self) -> list[Attribute]:
        """CARP_A_..."""
        makers: dict[int, Callable[[], bytes | list[Attribute]]] = {
            1: self.device, 2: self.word, 3: self.u8, 9: self.u32, 11: self.word,
            12: lambda: struct.pack("=i", self.random.choice((-1, 1, 128, -128, 129, 1 << 30))),
            13: self.u32, 15: lambda: [],
        }  # fmt: skip
        if self.random.random() < 0.3:
            return self.some(makers, usual=(1, 11, 12))
        # what an operation asks for
        usual = self.random.choice(((), (1,), (11,), (11, 12)))
        return [Attribute(kind, makers[kind]()) for kind in usual]

    def some(
        self, makers: dict[int, Callable[[], bytes | list[Attribute]]], usual: tuple[int, ...]
    ) -> list[Attribute]:
        """A few of the usual ones, now and then any."""
        kinds = self.random.sample(usual, self.random.randrange(min(len(usual), 4) + 1))
        if self.random.random() < 0.2:
            kinds.append(self.random.choice(list(makers)))
        return [Attribute(kind, makers[kind]()) for kind in kinds]

    def damaged(self, tree: list[Attribute]) -> list[Attribute]:
        """With one attribute of it wrong."""
        if not tree:
            return [Attribute(self.random.randrange(30), self.random.randbytes(8))]
        at = self.random.randrange(len(tree))
        one = tree[at]
        match self.random.randrange(8):
            case 0:
                one = replace(one, lie=self.random.choice((-5, -4, -1, 1, 4, 100, 65000)))
            case 1:
                one = replace(one, flags=self.random.choice((0x8000, 0x4000, 0xC000)))
            case 2:
                one = replace(one, kind=self.random.randrange(1 << 14))
            case 3:
                one = replace(one, value=self.random.randbytes(self.random.randrange(40)))
            case 4:
                # a nest where none belongs, and deeper than anyone asks for
                one = replace(one, value=[one] * self.random.randrange(1, 4))
                for _ in range(self.random.choice((0, 0, 30))):
                    one = Attribute(one.kind, [one])
            case 5:
                return tree + [one]
            case 6 if isinstance(one.value, list):
                one = replace(one, value=self.damaged(one.value))
            case _ if isinstance(one.value, bytes):
                one = replace(one, value=one.value[: self.random.randrange(len(one.value) + 1)])
        return tree[:at] + [one] + tree[at + 1 :]

    def body(self, tree: list[Attribute]) -> bytes:
        """The bytes of it, undamaged once in four times."""
        for _ in range(self.random.choice((0, 1, 1, 2))):
            tree = self.damaged(tree)
        data = bytearray(b"".join(one.pack() for one in tree))
        if data and self.random.random() < 0.2:
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
        if self.random.random() < 0.05:
            data = data[: self.random.randrange(len(data) + 1)]
        return bytes(data)


@pytest.fixture
def both(lan: Lan) -> Lan:
    """Two hosts with carp and pfsync."""
    start(lan)
    return lan


def start(lan: Lan) -> None:
    c.create_pair(lan)
    for host in lan.hosts:
        p.create(host)
    for host in lan.hosts:
        p.wait_bulk(host)


def works(lan: Lan) -> None:
    """Made anew on a, all is as it should be: who is master answers, and a knows of b's
    connections."""
    for host in lan.hosts:
        host.ip_batch(*(f"link del {name}" for name in NAMES))
        left = {link["ifname"] for link in host.ip_json("link", "show")}
        assert left == {"lo", "eth0"}, "interfaces were left"
        host.run("conntrack", "-F")
    start(lan)
    lan.client.run("ping", "-c", "2", "-i", "0.2", "-W", "1", VIP)
    lan.client.run("ping", "-c", "1", "-W", "1", "-e", "99", lan.b.address)

    def arrived() -> bool:
        return any(
            entry["original"].source == lan.client.address
            and entry["original"].destination == lan.b.address
            for entry in conntrack.entries(lan.a)
        )

    wait_for(arrived, 5, "b's connection is known to a")
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master")


def test_links(both: Lan, seed: int, log: Kmsg) -> None:
    """RTM_NEWLINK for interfaces that are there, and for new ones."""
    host = both.a
    dice = Dice(seed, host)
    answers: Counter[str] = Counter()
    for _ in range(REQUESTS):
        kind = dice.random.choice(("carp", "pfsync"))
        data = dice.body(getattr(dice, kind)())
        info = rtnl.attribute(rtnl.IFLA_INFO_KIND, kind.encode())
        nested = rtnl.NLA_F_NESTED if dice.random.random() < 0.9 else 0
        info += rtnl.attribute(rtnl.IFLA_INFO_DATA | nested, data)
        info = rtnl.nest(rtnl.IFLA_LINKINFO, info)
        try:
            if dice.random.random() < 0.2:
                name = rtnl.attribute(rtnl.IFLA_IFNAME, b"r0\0")
                host.rtnl.request(
                    RTM_NEWLINK, link_message() + name + info, NLM_F_CREATE | NLM_F_EXCL
                )
                host.rtnl.delete_link("r0")
                answers["made"] += 1
            else:
                device = dice.random.choice(NAMES)
                host.rtnl.request(RTM_NEWLINK, link_message(host.link(device).index) + info)
                answers["changed"] += 1
        except NetlinkError as error:
            assert error.errno in REFUSALS, (seed, kind, data.hex(), str(error))
            answers["refused"] += 1
    print(f"seed {seed}: {dict(answers)}")
    assert min(answers["made"], answers["changed"], answers["refused"]) > 0
    works(both)


def test_the_family(both: Lan, seed: int) -> None:
    """All operations, those that there are not among them, once and as dumps; somebody
    listens meanwhile."""
    dice = Dice(seed, both.a)
    with g.open_on(both.a) as asker, g.open_on(both.a) as listener:
        family = asker.family("carp")
        listener.join(family.groups["events"])
        answers: Counter[str] = Counter()
        for _ in range(REQUESTS):
            command = dice.random.randrange(8)
            flags = dice.random.choice((g.NLM_F_ACK, g.NLM_F_ACK, g.NLM_F_DUMP))
            body = dice.body(dice.family())
            try:
                asker.answers(asker.send(family.id, command, body, flags))
                answers["answered"] += 1
            except NetlinkError as error:
                assert error.errno in REFUSALS, (seed, command, body.hex(), str(error))
                answers["refused"] += 1
        print(f"seed {seed}: {dict(answers)}")
        assert min(answers.values()) > 0 and len(answers) == 2
    works(both)
