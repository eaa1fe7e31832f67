# SPDX-License-Identifier: GPL-2.0
"""carp interfaces on hosts, and advertisements as bytes.

The packet is put together here from protocol's description, not by the code under
test, so that the two check each other.
"""

from __future__ import annotations

import ipaddress
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from lib.capture import Packet
from lib.clock import wait_for
from lib.frames import GROUP, GROUP6, checksum, digest
from lib.frames import IPPROTO_CARP as PROTOCOL
from lib.host import Host
from lib.lan import VIP, Lan

GROUP_MAC = bytes.fromhex("01005e000012")
GROUP6_MAC = bytes.fromhex("333300000012")
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


def counted(host: Host, act: Callable[[], object]) -> dict[str, int]:
    """What the host counts of what it receives while something is done."""
    before = stats(host)
    act()
    time.sleep(0.02)
    after = stats(host)
    return {
        name: value - before[name]
        for name, value in after.items()
        if name.startswith("rx_") and value != before[name]
    }


def sends(host: Host, *frames: bytes, device: str = "eth0") -> Callable[[], None]:
    """Something to be done: these frames are sent."""

    def act() -> None:
        for frame in frames:
            host.send_frame(frame, device)

    return act


def with_checksum(payload: bytes) -> bytes:
    """The same with the checksum that is right."""
    payload = payload[:6] + b"\0\0" + payload[8:]
    return payload[:6] + struct.pack("!H", checksum(payload)) + payload[8:]


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
    """Its family is that of the packet."""
    ttl: int = 255
    mac: bytes = field(default=bytes.fromhex("02000000004d"))
    linklocal: bool = False
    """Link-local addresses are hashed, too."""

    def but(self, **changes: Any) -> Advertisement:
        """The same with some fields changed."""
        return replace(self, **changes)

    def digest(self) -> bytes:
        """HMAC-SHA1 over version, type, vhid, addresses and counter."""
        hashed = [
            address
            for address in self.addresses
            if self.linklocal or not ipaddress.ip_address(address).is_link_local or "." in address
        ]
        return digest(self.password, self.vhid, hashed, self.counter)

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
        """The whole Ethernet frame, to the group."""
        make = frame6 if ":" in self.source else frame
        return make(
            self.payload() if payload is None else payload,
            source=self.source,
            ttl=self.ttl,
            mac=self.mac,
        )

    def unicast(self, host: Host) -> bytes:
        """The same to a host alone."""
        to = bytes.fromhex(host.mac.replace(":", ""))
        options: Any = {"source": self.source, "ttl": self.ttl, "mac": self.mac, "to": to}
        if ":" in self.source:
            return frame6(self.payload(), destination=host.address6, **options)
        return frame(self.payload(), destination=host.address, **options)


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


def frame6(
    payload: bytes,
    *,
    source: str = "fd00::77",
    destination: str = GROUP6,
    ttl: int = 255,
    mac: bytes = bytes.fromhex("02000000004d"),
    to: bytes = GROUP6_MAC,
    protocol: int = PROTOCOL,
) -> bytes:
    """An Ethernet frame with an IPv6 packet."""
    header = struct.pack("!IHBB", 0x60000000, len(payload), protocol, ttl)
    header += ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(destination).packed
    return to + mac + b"\x86\xdd" + header + payload


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
