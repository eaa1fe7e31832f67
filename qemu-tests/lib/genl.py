# SPDX-License-Identifier: GPL-2.0
"""Generic netlink by hand, as lib.rtnl has rtnetlink: it can say to the kernel what
no program would, and it tells an error's words.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field

from lib.clock import wait_for
from lib.host import Host
from lib.rtnl import (
    NLM_F_ACK,
    NLM_F_ACK_TLVS,
    NLM_F_CAPPED,
    NLM_F_REQUEST,
    NLMSG_ERROR,
    NLMSGERR_ATTR_MSG,
    SOL_NETLINK,
    NetlinkError,
    attribute,
    attributes,
)

NLMSG_DONE = 3
NLM_F_DUMP, NLM_F_DUMP_INTR = 0x300, 0x10
NETLINK_GENERIC = 16
NETLINK_ADD_MEMBERSHIP = 1
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
GENL_ID_CTRL = 16
CTRL_CMD_GETFAMILY = 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_MCAST_GROUPS = 1, 2, 7
CTRL_ATTR_MCAST_GRP_NAME, CTRL_ATTR_MCAST_GRP_ID = 1, 2


@dataclass(frozen=True)
class Answer:
    """A message of a family."""

    command: int
    flags: int
    data: bytes
    """Its attributes."""

    @property
    def attributes(self) -> dict[int, bytes]:
        """The attributes; of several of one kind, the last."""
        return dict(attributes(self.data))

    def all(self, kind: int) -> list[bytes]:
        return [value for number, value in attributes(self.data) if number == kind]


@dataclass
class Family:
    """What the kernel says of a family."""

    id: int
    groups: dict[str, int] = field(default_factory=dict)


class Genl:
    """A socket of generic netlink. It belongs to the namespace where it was made: use
    `open_on`. It reads `size` bytes at once, and so much the kernel gives at once."""

    def __init__(self, size: int = 1 << 15) -> None:
        self.size = size
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self.socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self.socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self._sequence = 0
        self._early: list[bytes] = []

    def __enter__(self) -> Genl:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def family(self, name: str) -> Family:
        """
        Raises:
            NetlinkError: there is none of this name.
        """
        wanted = attribute(CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0")
        found = self.do(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, wanted)[0].attributes
        family = Family(struct.unpack("=H", found[CTRL_ATTR_FAMILY_ID])[0])
        for _, group in attributes(found.get(CTRL_ATTR_MCAST_GROUPS, b"")):
            entry = dict(attributes(group))
            name = entry[CTRL_ATTR_MCAST_GRP_NAME].rstrip(b"\0").decode()
            family.groups[name] = struct.unpack("=I", entry[CTRL_ATTR_MCAST_GRP_ID])[0]
        return family

    def join(self, group: int) -> None:
        self.socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)

    def send(self, family: int, command: int, body: bytes, flags: int) -> int:
        """Sends a request, and returns its number."""
        self._sequence += 1
        genl = struct.pack("=BBH", command, 1, 0)
        header = struct.pack(
            "=IHHII", 20 + len(body), family, NLM_F_REQUEST | flags, self._sequence, 0
        )
        self.socket.send(header + genl + body)
        return self._sequence

    def do(self, family: int, command: int, *body: bytes) -> list[Answer]:
        """One request; returns what came before the acknowledgement."""
        return self.answers(self.send(family, command, b"".join(body), NLM_F_ACK))

    def dump(self, family: int, command: int, *body: bytes) -> list[Answer]:
        return self.answers(self.send(family, command, b"".join(body), NLM_F_DUMP))

    def answers(self, sequence: int) -> list[Answer]:
        """What is answered to a request, up to its end."""
        result: list[Answer] = []
        while True:
            data = self.socket.recv(self.size)
            for kind, flags, number, body in split(data):
                if number != sequence:
                    # an event; it comes alone
                    self._early.append(data)
                    break
                if kind not in (NLMSG_ERROR, NLMSG_DONE):
                    result.append(Answer(body[0], flags, body[4:]))
                    continue
                code = -struct.unpack_from("=i", body)[0]
                if code:
                    raise NetlinkError(code, words(kind, flags, body))
                return result

    def events(self, family: Family) -> list[Answer]:
        """What was multicast since the last call."""
        received, self._early = self._early, []
        while True:
            try:
                received.append(self.socket.recv(self.size, socket.MSG_DONTWAIT))
            except BlockingIOError:
                break
        return [
            Answer(body[0], flags, body[4:])
            for data in received
            for kind, flags, _, body in split(data)
            if kind == family.id
        ]

    def wait_events(self, family: Family, count: int, timeout: float = 20) -> list[Answer]:
        """Waits until so many events have come."""
        result: list[Answer] = []

        def enough() -> bool:
            result.extend(self.events(family))
            return len(result) >= count

        wait_for(enough, timeout, f"{count} events")
        return result


def split(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """The messages in what was received: kind, flags, number, body."""
    result = []
    while len(data) >= 16:
        length, kind, flags, number, _ = struct.unpack_from("=IHHII", data)
        result.append((kind, flags, number, data[16:length]))
        data = data[(length + 3) & ~3 :]
    return result


def words(kind: int, flags: int, body: bytes) -> str:
    """What is said beside an error."""
    if not flags & NLM_F_ACK_TLVS:
        return ""
    skip = 4
    if kind == NLMSG_ERROR:
        request = struct.unpack_from("=I", body, 4)[0]
        skip = 20 if flags & NLM_F_CAPPED else 4 + ((request + 3) & ~3)
    found = dict(attributes(body[skip:]))
    return found.get(NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode()


def open_on(host: Host, size: int = 1 << 15) -> Genl:
    """A socket on a host."""
    with host.inside():
        return Genl(size)


def random_attributes(seed: bytes, highest: int) -> bytes:
    """Attributes of all kinds and lengths, some of which lie about theirs."""
    import random

    generator = random.Random(seed)
    result = b""
    for _ in range(generator.randrange(4)):
        payload = generator.randbytes(generator.choice([0, 1, 2, 3, 4, 5, 8, 16, 20, 300]))
        length = 4 + len(payload)
        if generator.random() < 0.2:
            length = generator.randrange(1 << 16)
        kind = generator.randrange(highest + 3)
        if generator.random() < 0.1:
            kind |= generator.choice([0x8000, 0x4000, 0x3FFF])
        result += struct.pack("=HH", length, kind) + payload + bytes(-len(payload) % 4)
    return result + generator.randbytes(generator.choice([0, 0, 0, 1, 3]))
