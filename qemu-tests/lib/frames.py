# SPDX-License-Identifier: GPL-2.0
"""CARP and ARP on the wire, written anew from the protocol's description: what
the module sends is not judged by the module's own code.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from lib.capture import Packet

IPPROTO_CARP = 112
CARP_SIZE = 36
GROUP, GROUP6 = "224.0.0.18", "ff02::12"
ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0800, 0x0806, 0x86DD


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def virtual_mac(vhid: int) -> str:
    return f"00:00:5e:00:01:{vhid:02x}"


def checksum(data: bytes) -> int:
    """The Internet checksum."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def digest(password: str, vhid: int, addresses: Iterable[str], counter: bytes) -> bytes:
    """The HMAC of an advertisement for these addresses."""
    key = password.encode()[:19].ljust(20, b"\0")
    parsed = [ip_address(a) for a in addresses]
    text = bytes([2, 1, vhid])
    text += b"".join(a.packed for a in sorted(a for a in parsed if isinstance(a, IPv4Address)))
    text += b"".join(a.packed for a in sorted(a for a in parsed if isinstance(a, IPv6Address)))
    return hmac.digest(key, text + counter, hashlib.sha1)


@dataclass(frozen=True)
class Advertisement:
    """A CARP advertisement, with what carried it."""

    vhid: int
    advbase: int
    advskew: int
    demote: int = 0
    counter: bytes = bytes(8)
    digest: bytes = bytes(20)
    authlen: int = 7
    version_type: int = 0x21
    checksum_good: bool = True
    ttl: int = 255
    source: str = ""
    destination: str = GROUP
    source_mac: str = ""
    destination_mac: str = ""
    tos: int = 0x10
    time: int = 0

    @property
    def interval(self) -> float:
        """The seconds that its sender promises between two of them."""
        return self.advbase + self.advskew / 256

    def authentic(self, password: str, addresses: Iterable[str]) -> bool:
        return self.digest == digest(password, self.vhid, addresses, self.counter)

    def signed(self, password: str, addresses: Iterable[str]) -> Advertisement:
        """The same with its digest."""
        fields = {**self.__dict__}
        fields["digest"] = digest(password, self.vhid, addresses, self.counter)
        return Advertisement(**fields)

    def payload(self) -> bytes:
        """What follows the IP header."""
        body = struct.pack(
            "!BBBBBBH8s20s",
            self.version_type,
            self.vhid,
            self.advskew,
            self.authlen,
            self.demote,
            self.advbase,
            0,
            self.counter,
            self.digest,
        )
        right = checksum(body)
        return body[:6] + struct.pack("!H", right if self.checksum_good else right ^ 1) + body[8:]

    def frame(self) -> bytes:
        """A whole Ethernet frame."""
        payload = self.payload()
        if ":" in self.destination:
            group = b"\x33\x33" + socket.inet_pton(socket.AF_INET6, self.destination)[12:]
            header = struct.pack("!IHBB", 0x60000000, len(payload), IPPROTO_CARP, self.ttl)
            header += socket.inet_pton(socket.AF_INET6, self.source)
            header += socket.inet_pton(socket.AF_INET6, self.destination)
            protocol = ETH_P_IPV6
        else:
            address = socket.inet_aton(self.destination)
            group = b"\x01\x00\x5e" + bytes([address[1] & 0x7F]) + address[2:]
            header = struct.pack(
                "!BBHHHBBH4s4s",
                0x45,
                self.tos,
                20 + len(payload),
                0,
                0x4000,
                self.ttl,
                IPPROTO_CARP,
                0,
                socket.inet_aton(self.source),
                address,
            )
            header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
            protocol = ETH_P_IP
        to = mac_bytes(self.destination_mac) if self.destination_mac else group
        return to + mac_bytes(self.source_mac) + struct.pack("!H", protocol) + header + payload


def parse_advertisement(packet: Packet) -> Advertisement | None:
    """The advertisement in a captured frame, None if it is something else."""
    data = packet.data
    if len(data) < 34:
        return None
    protocol = struct.unpack_from("!H", data, 12)[0]
    if protocol == ETH_P_IP and data[23] == IPPROTO_CARP:
        start = 14 + (data[14] & 15) * 4
        tos, ttl = data[15], data[22]
        source, destination = socket.inet_ntoa(data[26:30]), socket.inet_ntoa(data[30:34])
    elif protocol == ETH_P_IPV6 and data[20] == IPPROTO_CARP:
        start = 54
        tos, ttl = (data[14] & 15) << 4 | data[15] >> 4, data[21]
        source = socket.inet_ntop(socket.AF_INET6, data[22:38])
        destination = socket.inet_ntop(socket.AF_INET6, data[38:54])
    else:
        return None
    body = data[start : start + CARP_SIZE]
    # VRRP shares the protocol's number and its group; its packets are shorter
    if len(body) < CARP_SIZE:
        return None
    version_type, vhid, advskew, authlen, demote, advbase = body[:6]
    return Advertisement(
        vhid=vhid,
        advbase=advbase,
        advskew=advskew,
        demote=demote,
        counter=body[8:16],
        digest=body[16:36],
        authlen=authlen,
        version_type=version_type,
        checksum_good=checksum(body) == 0,
        ttl=ttl,
        source=source,
        destination=destination,
        source_mac=data[6:12].hex(":"),
        destination_mac=data[:6].hex(":"),
        tos=tos,
        time=packet.time,
    )


def advertisements(packets: Sequence[Packet], **fields: object) -> list[Advertisement]:
    """The advertisements among captured frames, those with such fields alone."""
    found = [a for a in map(parse_advertisement, packets) if a]
    return [a for a in found if all(getattr(a, k) == v for k, v in fields.items())]


@dataclass(frozen=True)
class Arp:
    """An ARP packet for IPv4 over Ethernet."""

    operation: int
    sender_mac: str
    sender: str
    target_mac: str
    target: str
    source_mac: str = ""
    destination_mac: str = ""
    time: int = 0

    @property
    def gratuitous(self) -> bool:
        return self.sender == self.target


def parse_arp(packet: Packet) -> Arp | None:
    data = packet.data
    if len(data) < 42 or data[12:20] != bytes.fromhex("0806000108000604"):
        return None
    return Arp(
        operation=struct.unpack_from("!H", data, 20)[0],
        sender_mac=data[22:28].hex(":"),
        sender=socket.inet_ntoa(data[28:32]),
        target_mac=data[32:38].hex(":"),
        target=socket.inet_ntoa(data[38:42]),
        source_mac=data[6:12].hex(":"),
        destination_mac=data[:6].hex(":"),
        time=packet.time,
    )


def arps(packets: Sequence[Packet]) -> list[Arp]:
    return [a for a in map(parse_arp, packets) if a]
