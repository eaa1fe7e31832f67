# SPDX-License-Identifier: GPL-2.0
"""A passphrase is nowhere in the machine's memory when its interface is gone, and in one
place as long as it is there. Netlink messages that carried it are the kernel's business,
and are known by the attribute's header before it.

The test must not have it in memory either: it knows the passphrase in disguise only, and
undoes that for no longer than it takes to send it.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

import pytest
from lib.host import Host
from lib.lan import Lan
from lib.rtnl import (
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_REQUEST,
    NLMSG_ERROR,
    RTM_NEWLINK,
    attribute,
    link_message,
    nest,
)

pytestmark = pytest.mark.usefixtures("carp")

# include/uapi/linux/if_carp.h
IFLA_CARP_VHID, IFLA_CARP_CARPDEV, IFLA_CARP_PASS = 1, 2, 5
LENGTH = 19
SHIFT = 77
"""What is added to each byte: not a mask, which would undo itself where the test looks
at its own memory."""
DISGUISE = bytes((byte + SHIFT) & 0xFF for byte in range(256))
HEADER = struct.pack("=HH", 4 + LENGTH, IFLA_CARP_PASS).translate(DISGUISE)
CHUNK = 1 << 20
OVERLAP = 64
PT_LOAD = 1


def set_passphrase(host: Host, disguised: bytes, vhid: int = 1) -> None:
    """Makes carp0, or changes it."""
    carpdev = struct.pack("=I", host.link("eth0").index)
    data = (
        attribute(IFLA_CARP_VHID, bytes([vhid])),
        attribute(IFLA_CARP_CARPDEV, carpdev),
        attribute(IFLA_CARP_PASS, disguised),
    )
    info = attribute(IFLA_INFO_KIND, b"carp") + nest(IFLA_INFO_DATA, *data)
    body = link_message() + attribute(IFLA_IFNAME, b"carp0\0") + nest(IFLA_LINKINFO, info)
    flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE
    header = struct.pack("=IHHII", 16 + len(body), RTM_NEWLINK, flags, 1, 0)
    message = bytearray(header + body)
    place = message.index(disguised)
    with host.inside():
        connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    with connection:
        for index in range(place, place + LENGTH):
            message[index] = (message[index] - SHIFT) & 0xFF
        try:
            connection.send(message)
        finally:
            for index in range(place, place + LENGTH):
                message[index] = (message[index] + SHIFT) & 0xFF
        kind, code = struct.unpack_from("=4xH10xi", connection.recv(4096))
    assert (kind, code) == (NLMSG_ERROR, 0)


def memory() -> Iterator[bytes]:
    """All of the machine's memory in pieces that overlap."""
    fd = os.open("/proc/kcore", os.O_RDONLY)
    try:
        start, size, count = struct.unpack_from("=Q14xHH", os.pread(fd, 64, 0), 32)
        for number in range(count):
            entry = os.pread(fd, size, start + number * size)
            kind, _, offset, _, physical, length = struct.unpack_from("=IIQQQQ", entry)
            if kind != PT_LOAD or physical == 2**64 - 1:
                continue
            for begin in range(0, length, CHUNK - OVERLAP):
                yield os.pread(fd, min(CHUNK, length - begin), offset + begin)
    finally:
        os.close(fd)


def places(disguised: bytes) -> int:
    """In how many places the passphrase is, other than netlink messages."""
    found = 0
    for piece in memory():
        piece = piece.translate(DISGUISE)
        at = piece.find(disguised, OVERLAP - LENGTH + 1)
        while at != -1:
            found += piece[at - len(HEADER) : at] != HEADER
            at = piece.find(disguised, at + 1)
    return found


@pytest.mark.figures  # the other kernel keeps what is freed
def test_nothing_stays(lan: Lan) -> None:
    passphrases = [os.urandom(LENGTH) for _ in range(3)]
    host = lan.a
    for disguised in passphrases:
        set_passphrase(host, disguised)
        host.ip_batch("addr replace 10.0.0.1/24 dev carp0", "link set carp0 up")
        # signs, with one virtual host and several, and in all modes
        for words in ("carpnodes 1:0,2:0 balancing arp", "balancing ip", "vhid 1 advbase 0"):
            host.ip(*f"link set carp0 type carp {words}".split())
    assert places(passphrases[-1]) == 1
    for disguised in passphrases[:-1]:
        assert places(disguised) == 0, "another one took its place"
    host.ip("link", "del", "carp0")
    for disguised in passphrases:
        assert places(disguised) == 0, "the interface is gone"
