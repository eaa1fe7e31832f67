# SPDX-License-Identifier: GPL-2.0
"""A passphrase is nowhere in the machine's memory when its interface is gone, and in one
place as long as it is there. Netlink messages that carried it are the kernel's business,
and are known by the attribute's header before it.

The same goes for the states of SHA-1 that follow from it alone, after the block of ipad
and that of opad: one can sign with them as well.

The test must not have any of it in memory either: it knows it in disguise only, and undoes
that for no longer than it takes to send a passphrase.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple

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
CHUNK = 1 << 16
OVERLAP = 64
ZEROES = bytes(CHUNK)
PT_LOAD = 1


class Phrase(NamedTuple):
    """A passphrase, and the states of SHA-1 after it with ipad and with opad, as the kernel
    keeps them (`struct hmac_sha1_key`): all in disguise."""

    phrase: bytes
    inner: bytes
    outer: bytes


PHRASES = [
    Phrase(*map(bytes.fromhex, parts))
    for parts in (
        (
            "c36b093015664a51f1b2b1aa3cda2b005c890c",
            "6008f628538ad2a3bd5f92c56ba6bcfaa6b98f1a",
            "9240398dcc689bf1424330b1999b4245c1156757",
        ),
        (
            "a966f230cc7ec992aa05e72359d56d882ef5b7",
            "b7de51154cdee8038b029415fa7a4160f4d193d6",
            "bd2579418dcf64f495b1847465c679cd7fd2198f",
        ),
        (
            "b9b9eba4781764f7a342ed877fba55727c29ae",
            "8cb82542da83821a00db42cb1bda6804bcee7324",
            "1a7a366b394c8bfa7ffb4c34d6175f8f5fdca77b",
        ),
    )
]


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
    """All of the machine's memory that was ever written to, in pieces that overlap."""
    fd = os.open("/proc/kcore", os.O_RDONLY)
    try:
        start, size, count = struct.unpack_from("=Q14xHH", os.pread(fd, 64, 0), 32)
        for number in range(count):
            entry = os.pread(fd, size, start + number * size)
            kind, _, offset, _, physical, length = struct.unpack_from("=IIQQQQ", entry)
            # stacks are here, too: this leaves out a second look through vmalloc's addresses
            if kind != PT_LOAD or physical == 2**64 - 1:
                continue
            for begin in range(0, length, CHUNK - OVERLAP):
                piece = os.pread(fd, min(CHUNK, length - begin), offset + begin)
                if piece != ZEROES:
                    yield piece
    finally:
        os.close(fd)


def places() -> list[tuple[int, ...]]:
    """In how many places each of them is, other than netlink messages. One look at the
    memory for all of them: it takes long."""
    wanted = [each for phrase in PHRASES for each in phrase]
    found = [0] * len(wanted)
    for piece in memory():
        piece = piece.translate(DISGUISE)
        for number, disguised in enumerate(wanted):
            at = piece.find(disguised, OVERLAP - len(disguised) + 1)
            while at != -1:
                found[number] += piece[at - len(HEADER) : at] != HEADER
                at = piece.find(disguised, at + 1)
    width = len(Phrase._fields)
    return [tuple(found[at : at + width]) for at in range(0, len(found), width)]


NOWHERE = (0, 0, 0)


@pytest.mark.figures  # the other kernel keeps what is freed
def test_nothing_stays(lan: Lan) -> None:
    """After signing, believing and not believing, with one virtual host and several."""
    hosts = (lan.a, lan.b)
    for phrase in PHRASES:
        for host in hosts:
            set_passphrase(host, phrase.phrase)
            host.ip_batch(
                "addr replace 10.0.0.1/24 dev carp0",
                "addr replace fd00::1/64 dev carp0",
                "addr replace fe80::1/64 dev carp0",
                "link set carp0 up",
            )
            for words in ("carpnodes 1:0,2:0 balancing arp", "balancing ip", "vhid 1 advbase 0"):
                host.ip(*f"link set carp0 type carp {words}".split())
        time.sleep(0.5)
        # an earlier list of addresses is spoken and believed as well
        lan.a.ip("addr", "add", "10.0.0.8/24", "dev", "carp0")
        time.sleep(0.5)
        lan.a.ip("addr", "del", "10.0.0.8/24", "dev", "carp0")
        time.sleep(0.5)
    *earlier, last = places()
    print(earlier, last)
    # One passphrase in each interface. The states of three lists of addresses in one, of one
    # in the other; with and without link-local addresses, each.
    assert last == (2, 8, 8)
    assert earlier == [NOWHERE] * 2, "another one took its place"
    for host in hosts:
        host.ip("link", "del", "carp0")
    time.sleep(0.1)
    gone = places()
    print(gone)
    assert gone == [NOWHERE] * 3, "the interfaces are gone"
