# SPDX-License-Identifier: GPL-2.0
"""rtnetlink by hand, for two uses: to ask for a link's state often (to run
ip(8) costs three million instructions, this a tenth of one), and to say to the
kernel what no program would say.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = range(16, 20)
NLMSG_ERROR = 2
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE = 1, 4, 0x200, 0x400
NLMSGERR_ATTR_MSG = 1
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
SOL_NETLINK, NETLINK_EXT_ACK = 270, 11

IFLA_ADDRESS, IFLA_IFNAME, IFLA_LINK, IFLA_OPERSTATE, IFLA_LINKINFO = 1, 3, 5, 16, 18
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
NLA_F_NESTED = 0x8000

IFF_UP, IFF_RUNNING, IFF_LOWER_UP, IFF_DORMANT = 1, 0x40, 0x10000, 0x20000
OPERSTATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")


class NetlinkError(OSError):
    """The kernel said no; `words` is its extended answer, "" if it gave none."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(code, f"{os.strerror(code)}: {words}" if words else os.strerror(code))
        self.words = words


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded."""
    return struct.pack("=HH", len(payload) + 4, kind) + payload + bytes(-len(payload) % 4)


def nest(kind: int, *attributes: bytes) -> bytes:
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in a piece of message, with the flags taken from their kinds."""
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            return
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]


def link_message(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    """struct ifinfomsg."""
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


class Rtnl:
    """A connection to rtnetlink. It belongs to the namespace where it was made:
    use Host.rtnl."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def request(self, kind: int, body: bytes, flags: int = 0) -> bytes:
        """One request; returns the body of the answer, b"" for a bare "done"."""
        self._sequence += 1
        flags |= NLM_F_REQUEST | (0 if kind == RTM_GETLINK else NLM_F_ACK)
        header = struct.pack("=IHHII", 16 + len(body), kind, flags, self._sequence, 0)
        self._socket.send(header + body)
        while True:
            data = self._socket.recv(1 << 16)
            length, answer, flags, sequence, _ = struct.unpack_from("=IHHII", data)
            if sequence == self._sequence:
                break
        body = data[16:length]
        if answer != NLMSG_ERROR:
            return body
        code = -struct.unpack_from("=i", body)[0]
        if not code:
            return b""
        raise NetlinkError(code, self._words(body, flags))

    @staticmethod
    def _words(body: bytes, flags: int) -> str:
        if not flags & NLM_F_ACK_TLVS:
            return ""
        request_length = struct.unpack_from("=I", body, 4)[0]
        skip = 20 if flags & NLM_F_CAPPED else 4 + ((request_length + 3) & ~3)
        found = dict(attributes(body[skip:]))
        return found.get(NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode()

    def link(self, device: str) -> Link:
        """What there is to know of a device."""
        name = attribute(IFLA_IFNAME, device.encode() + b"\0")
        return Link(self.request(RTM_GETLINK, link_message() + name))

    def add_link(self, device: str, kind: str, *data: bytes, extra: bytes = b"") -> None:
        """Makes a device of this kind; `data` are the attributes of its own kind,
        `extra` others."""
        info = attribute(IFLA_INFO_KIND, kind.encode())
        if data:
            info += nest(IFLA_INFO_DATA, *data)
        name = attribute(IFLA_IFNAME, device.encode() + b"\0")
        body = link_message() + name + extra + nest(IFLA_LINKINFO, info)
        self.request(RTM_NEWLINK, body, NLM_F_CREATE | NLM_F_EXCL)

    def change_link(self, device: str, kind: str, *data: bytes) -> None:
        info = attribute(IFLA_INFO_KIND, kind.encode()) + nest(IFLA_INFO_DATA, *data)
        index = self.link(device).index
        self.request(RTM_NEWLINK, link_message(index) + nest(IFLA_LINKINFO, info))

    def delete_link(self, device: str) -> None:
        self.request(RTM_DELLINK, link_message(self.link(device).index))


class Link:
    """An answer to RTM_GETLINK."""

    def __init__(self, body: bytes) -> None:
        _, _, self.index, self.flags, _ = struct.unpack_from("=BxHiII", body)
        self.attributes = dict(attributes(body[16:]))

    @property
    def operstate(self) -> str:
        return OPERSTATES[self.attributes[IFLA_OPERSTATE][0]]

    @property
    def address(self) -> str:
        return self.attributes[IFLA_ADDRESS].hex(":")

    @property
    def carrier(self) -> bool:
        return bool(self.flags & IFF_LOWER_UP)

    @property
    def data(self) -> dict[int, bytes]:
        """The attributes of its own kind."""
        info = dict(attributes(self.attributes.get(IFLA_LINKINFO, b"")))
        return dict(attributes(info.get(IFLA_INFO_DATA, b"")))
