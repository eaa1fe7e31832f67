# SPDX-License-Identifier: GPL-2.0
"""pfsync interfaces on hosts, and a peer of theirs that does what a test says.

The frames themselves are lib.pfsync_wire's.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lib.capture import Packet
from lib.clock import wait_for
from lib.host import Host
from lib.pfsync_wire import Action, Bulk, Frame, frame

PROTOCOL = 240
GROUP = "224.0.0.240"
GROUP_MAC = bytes.fromhex("01005e0000f0")
TTL = 255
CREATOR = b"\xde\xad\xbe\xef"
"""Who a Peer is, unless it says otherwise."""
TOS = 0x10
# Of linux/in.h, linux/in6.h and asm/socket.h
IP_PKTINFO = 8
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2
IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT = 51, 52
SO_RCVBUFFORCE = 33

# include/uapi/linux/if_pfsync.h
IFLA_PFSYNC_BULK = 9
BULKS = ("down", "no-link", "asking", "receiving", "done")


# -- the interface


def create(
    host: Host,
    words: str = "",
    *,
    syncdev: str | None = "eth0",
    name: str = "pfsync0",
    up: bool = True,
    local: bool = True,
) -> None:
    """Makes a pfsync interface as a user does, in ip(8)'s words; more words may follow. Most
    tests have connections that end at the host: `local` tells of them."""
    if local:
        words += " local"
    device = f"syncdev {syncdev}" if syncdev else ""
    host.ip_batch(
        f"link add {name} type pfsync {device} {words}",
        *([f"link set {name} up"] if up else []),
    )


def change(host: Host, words: str, name: str = "pfsync0") -> None:
    host.ip("link", "set", name, "type", "pfsync", *words.split())


def info(host: Host, name: str = "pfsync0") -> dict[str, Any]:
    """What `ip -d -s -j link show` tells of the interface as pfsync."""
    return host.show(name)["linkinfo"]["info_data"]


def stats(host: Host, name: str = "pfsync0") -> dict[str, int]:
    """pfsync(4)'s counters of the interface."""
    return info(host, name)["stats"]


def counted(
    host: Host, act: Callable[[], object], name: str = "pfsync0", pause: float = 0.02
) -> dict[str, int]:
    """What the host counts while something is done, and shortly after it."""
    before = stats(host, name)
    act()
    time.sleep(pause)
    after = stats(host, name)
    return {
        counter: value - before[counter]
        for counter, value in after.items()
        if value != before[counter]
    }


def bulk(host: Host, name: str = "pfsync0") -> str:
    """How the bulk update stands, at a price that allows to ask often."""
    return BULKS[host.link(name).data[IFLA_PFSYNC_BULK][0]]


def wait_bulk(host: Host, wanted: str = "done", timeout: float = 50, name: str = "pfsync0") -> None:
    wait_for(
        lambda: bulk(host, name) == wanted,
        timeout,
        f"the bulk update of {name} on {host} is {wanted}",
        interval=0.05,
    )


# -- frames on the wire


@dataclass(frozen=True)
class Received:
    """A frame, with what carried it."""

    frame: Frame
    data: bytes
    """What follows the IP header."""
    source: str
    ttl: int
    time: int
    """Nanoseconds of CLOCK_REALTIME."""
    destination: str = ""
    tos: int = 0
    dont_fragment: bool = False
    outgoing: bool = False


def heard(packets: Sequence[Packet]) -> list[Received]:
    """The pfsync frames among recorded packets, IPv4 and IPv6."""
    result = []
    for packet in packets:
        data = packet.data
        if data[12:14] == b"\x08\x00" and len(data) >= 34 and data[23] == PROTOCOL:
            length, fragment = struct.unpack_from("!HxxH", data, 16)
            payload = data[14 + (data[14] & 15) * 4 : 14 + length]
            family, addresses, ttl, tos = socket.AF_INET, data[26:34], data[22], data[15]
        elif data[12:14] == b"\x86\xdd" and len(data) >= 54 and data[20] == PROTOCOL:
            (length,) = struct.unpack_from("!H", data, 18)
            payload, fragment = data[54 : 54 + length], 0x4000
            family, addresses, ttl = socket.AF_INET6, data[22:54], data[21]
            tos = (data[14] & 15) << 4 | data[15] >> 4
        else:
            continue
        half = len(addresses) // 2
        result.append(
            Received(
                frame=Frame.unpack(payload),
                data=payload,
                source=socket.inet_ntop(family, addresses[:half]),
                destination=socket.inet_ntop(family, addresses[half:]),
                ttl=ttl,
                tos=tos,
                dont_fragment=bool(fragment & 0x4000),
                time=packet.time,
                outgoing=packet.outgoing,
            )
        )
    return result


class Peer:
    """Speaks pfsync on a host that has no pfsync interface.

    It hears what goes to the group, or to the host, through a device, and sends to
    the group, or to a peer alone; IPv6 only to a peer.
    """

    def __init__(
        self, host: Host, device: str = "eth0", peer: str | None = None, ttl: int = TTL
    ) -> None:
        self.host = host
        self.destination = peer or GROUP
        v6 = ":" in self.destination
        self._v6 = v6
        s = host.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW, PROTOCOL)
        self._socket = s
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        if v6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
            s.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)
            return
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, TOS)
        s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        # struct ip_mreqn
        index = host.link(device).index
        member = struct.pack("=4s4si", socket.inet_aton(GROUP), bytes(4), index)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, *frames: bytes, source: str | None = None) -> None:
        """Sends frames, as lib.pfsync_wire.frame() makes them, or any bytes; from another
        address of the host's, if it is given."""
        control = []
        if source:
            # struct in_pktinfo
            info = struct.pack("=i4s4s", 0, socket.inet_aton(source), bytes(4))
            control = [(socket.IPPROTO_IP, IP_PKTINFO, info)]
        for data in frames:
            self._socket.sendmsg([data], control, 0, (self.destination, 0))

    def sends(self, *frames: bytes) -> Callable[[], None]:
        """The same, to be done later: for counted()."""
        return lambda: self.send(*frames)

    def receive(self, timeout: float = 2) -> Received | None:
        """The next frame; None if there is none within so many seconds."""
        self._socket.settimeout(max(timeout, 0.000001))
        try:
            data, control, _, address = self._socket.recvmsg(65536, 64)
        except (TimeoutError, BlockingIOError):
            return None
        ttl = tos = 0
        fragment = 0x4000
        if self._v6:
            ttl = struct.unpack("=i", control[0][2])[0]
        else:
            ttl, tos = data[8], data[1]
            (fragment,) = struct.unpack_from("!H", data, 6)
            data = data[(data[0] & 15) * 4 :]
        return Received(
            frame=Frame.unpack(data),
            data=data,
            source=address[0],
            ttl=ttl,
            tos=tos,
            dont_fragment=bool(fragment & 0x4000),
            time=time.time_ns(),
        )

    def collect(self, seconds: float) -> list[Received]:
        """All frames of so many seconds."""
        end = time.monotonic() + seconds
        found = []
        while True:
            received = self.receive(end - time.monotonic())
            if received is None:
                return found
            found.append(received)

    def wait(self, *actions: int, timeout: float = 5) -> Received:
        """The next frame in which there is one of these actions; others are dropped."""
        end = time.monotonic() + timeout
        while True:
            received = self.receive(end - time.monotonic())
            if received is None:
                names = "/".join(Action(action).name for action in actions)
                raise AssertionError(f"{self.host} waited {timeout:g} s in vain for {names}")
            if set(actions) & set(received.frame.actions):
                return received


def bulk_frame(status: int = Bulk.END, creator: bytes = CREATOR) -> bytes:
    """BUS: the end of a bulk update, with its beginning before it, or that alone."""
    begin = (Action.BUS, Bulk(creator, Bulk.START))
    end = (Action.BUS, Bulk(creator, Bulk.END))
    return frame(begin, end) if status == Bulk.END else frame(begin)


QUIET = """
table inet quiet {
    chain in { type filter hook prerouting priority raw; meta l4proto { 2, 58, 240 } notrack; }
    chain out { type filter hook output priority raw; meta l4proto { 2, 58, 240 } notrack; }
}
"""
"""Rules of a host that has no states but those that a test makes."""


def meet(
    host: Host, peer: Peer, words: str = "", answer: bytes | None = None, **options: Any
) -> None:
    """Makes an interface on the host, whose request for everything the peer answers: it
    has nothing. Nor has the host."""
    host.run("nft", "-f", "-", input=QUIET)
    create(host, words, **options)
    peer.wait(Action.UPD_REQ)
    peer.send(answer or bulk_frame())
    wait_bulk(host, timeout=2)
