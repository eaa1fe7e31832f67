# SPDX-License-Identifier: GPL-2.0
"""carp interfaces on hosts, and advertisements as bytes.

The packet is put together here from protocol's description, not by the code under
test, so that the two check each other.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field, replace
from typing import Any

from lib.capture import Packet
from lib.clock import wait_for
from lib.frames import GROUP, checksum, digest
from lib.frames import IPPROTO_CARP as PROTOCOL
from lib.host import Host
from lib.lan import VIP, Lan

GROUP_MAC = bytes.fromhex("01005e000012")
PASS = "secret"

# include/uapi/linux/if_carp.h
IFLA_CARP_STATE = 6
STATES = ("init", "backup", "master")


def virtual_mac(vhid: int) -> bytes:
    """The virtual MAC of a vhid."""
    return bytes([0, 0, 0x5E, 0, 1, vhid])


def create(
    host: Host,
    words: str = "",
    *,
    vhid: int = 1,
    advskew: int = 0,
    addresses: tuple[str, ...] = (f"{VIP}/24",),
    name: str = "carp0",
    carpdev: str = "eth0",
    password: str = PASS,
    up: bool = True,
) -> None:
    """Makes a carp interface as a user does, in ip(8)'s words; more words may follow."""
    host.ip_batch(
        f"link add {name} type carp vhid {vhid} carpdev {carpdev} pass {password}"
        f" advskew {advskew} {words}",
        *(f"addr add {address} dev {name}" for address in addresses),
        *([f"link set {name} up"] if up else []),
    )


def create_pair(lan: Lan, *, preempt: bool = False, **options: Any) -> None:
    """a becomes master, b (advskew 100) backup."""
    for host, skew in zip(lan.hosts[:2], (0, 100), strict=True):
        host.sysctl("net.inet.carp.preempt", int(preempt))
        create(host, advskew=skew, **options)
    wait_state(lan.a, "master")
    wait_state(lan.b, "backup")


def create_nodes(
    host: Host,
    nodes: str,
    mode: str = "ip",
    *,
    name: str = "carp0",
    carpdev: str = "eth0",
    address: str = f"{VIP}/24",
) -> None:
    """Makes a carp interface with several virtual hosts."""
    host.ip_batch(
        f"link add {name} type carp carpnodes {nodes} balancing {mode} carpdev {carpdev}"
        f" pass {PASS}",
        f"addr add {address} dev {name}",
        f"link set {name} up",
    )


def masters(host: Host, name: str = "carp0") -> list[int]:
    """The vhids of an interface that the host is master of."""
    nodes = info(host, name)["carpnodes"]
    return [node["vhid"] for node in nodes if node["state"] == "master"]


def wait_masters(host: Host, vhids: list[int], timeout: float = 8, name: str = "carp0") -> None:
    """Waits until the host is master of these vhids and no other."""
    wait_for(
        lambda: masters(host, name) == vhids,
        timeout,
        f"{host} is master of {vhids}",
        interval=0.1,
    )


def wait_state(host: Host, wanted: str, timeout: float = 20, name: str = "carp0") -> None:
    """Waits until an interface is "init", "backup" or "master"."""
    wait_for(
        lambda: state(host, name) == wanted,
        timeout,
        f"{name} on {host} becomes {wanted}",
        interval=0.02,
    )


def info(host: Host, name: str = "carp0") -> dict[str, Any]:
    """What `ip -d -s -j link show` tells of the interface as carp."""
    return host.show(name)["linkinfo"]["info_data"]


def state(host: Host, name: str = "carp0") -> str:
    """The state of an interface: "init", "backup" or "master"."""
    return STATES[host.link(name).data[IFLA_CARP_STATE][0]]


def stats(host: Host, name: str = "carp0") -> dict[str, int]:
    """carp(4)'s counters of the interface."""
    return info(host, name)["stats"]


@dataclass(frozen=True)
class Advertisement:
    """An advertisement as another host would send it."""

    vhid: int = 1
    advskew: int = 0
    demote: int = 0
    advbase: int = 1
    counter: bytes = bytes(range(8))
    addresses: tuple[str, ...] = (VIP,)
    password: str = PASS
    version: int = 2
    source: str = "10.0.0.77"
    ttl: int = 255
    mac: bytes = field(default=bytes.fromhex("02000000004d"))

    def but(self, **changes: Any) -> Advertisement:
        """The same with some fields changed."""
        return replace(self, **changes)

    def digest(self) -> bytes:
        """HMAC-SHA1 over version, type, vhid, addresses and counter."""
        return digest(self.password, self.vhid, self.addresses, self.counter)

    def payload(self) -> bytes:
        """The 36 bytes behind the IP header."""
        head = struct.pack(
            "!BBBBBBH",
            self.version << 4 | 1,
            self.vhid,
            self.advskew,
            7,
            self.demote,
            self.advbase,
            0,
        )
        data = head + self.counter + self.digest()
        return data[:6] + struct.pack("!H", checksum(data)) + data[8:]

    def frame(self, payload: bytes | None = None) -> bytes:
        """The whole Ethernet frame."""
        return frame(
            self.payload() if payload is None else payload,
            source=self.source,
            ttl=self.ttl,
            mac=self.mac,
        )


def frame(
    payload: bytes,
    *,
    source: str = "10.0.0.77",
    destination: str = GROUP,
    ttl: int = 255,
    mac: bytes = bytes.fromhex("02000000004d"),
    to: bytes = GROUP_MAC,
    protocol: int = PROTOCOL,
) -> bytes:
    """An Ethernet frame with an IPv4 packet."""
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45,
        0x10,
        20 + len(payload),
        0,
        0x4000,
        ttl,
        protocol,
        0,
        ipaddress.IPv4Address(source).packed,
        ipaddress.IPv4Address(destination).packed,
    )
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return to + mac + b"\x08\x00" + header + payload


def arp(
    target: str,
    *,
    sender: str,
    mac: bytes,
    to: bytes = b"\xff" * 6,
    reply: bool = False,
    target_mac: bytes = bytes(6),
) -> bytes:
    """An Ethernet frame with an ARP packet: a question, or an answer."""
    return (
        to
        + mac
        + bytes.fromhex("0806 0001 0800 06 04")
        + (b"\0\2" if reply else b"\0\1")
        + mac
        + ipaddress.IPv4Address(sender).packed
        + target_mac
        + ipaddress.IPv4Address(target).packed
    )


@dataclass(frozen=True)
class Heard:
    """An advertisement that was recorded on the wire."""

    time: int
    mac: bytes
    source: str
    ttl: int
    tos: int
    vhid: int
    advskew: int
    demote: int
    advbase: int
    data: bytes

    @property
    def is_bow_out(self) -> bool:
        return self.advbase == 255 and self.advskew == 255


def heard(packets: list[Packet]) -> list[Heard]:
    """The advertisements among recorded packets."""
    result = []
    for packet in packets:
        data = packet.data
        if data[12:14] != b"\x08\x00" or data[23] != PROTOCOL or len(data) < 70:
            continue
        result.append(
            Heard(
                time=packet.time,
                mac=data[6:12],
                source=str(ipaddress.IPv4Address(data[26:30])),
                ttl=data[22],
                tos=data[15],
                vhid=data[35],
                advskew=data[36],
                demote=data[38],
                advbase=data[39],
                data=data,
            )
        )
    return result
