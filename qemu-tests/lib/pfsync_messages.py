# SPDX-License-Identifier: GPL-2.0
"""The messages of pfsync version 6, see lib.pfsync_wire."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

AF_INET, AF_INET6 = 2, 24
"""Address families are OpenBSD's."""
IN, OUT = 1, 2
"""The direction of a state."""
NO_SYNC, ACK = 0x0008, 0x0010
"""State flags: stays here; wants an INS_ACK."""


class Refused(ValueError):
    """Bytes that no receiver may take; `why` is one word for it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def words(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode()


def pack_address(address: str) -> bytes:
    return ipaddress.ip_address(address).packed.ljust(16, b"\0")


def unpack_address(data: bytes, family: int) -> str:
    if family == AF_INET6:
        return str(ipaddress.IPv6Address(data))
    return str(ipaddress.IPv4Address(data[:4]))


def family_of(address: str) -> int:
    return AF_INET6 if ":" in address else AF_INET


@dataclass(frozen=True)
class Peer:
    """One side of a connection."""

    seqlo: int = 0
    seqhi: int = 0
    max_win: int = 0
    mss: int = 0
    state: int = 0
    wscale: int = 0
    seqdiff: int = 0
    scrub_flags: int = 0
    scrub_ttl: int = 0
    scrub_valid: int = 0
    ts_mod: int = 0

    WIRE: ClassVar = struct.Struct("!HBBIIIIHHBB6x")

    def pack(self) -> bytes:
        return self.WIRE.pack(
            self.scrub_flags,
            self.scrub_ttl,
            self.scrub_valid,
            self.ts_mod,
            self.seqlo,
            self.seqhi,
            self.seqdiff,
            self.max_win,
            self.mss,
            self.state,
            self.wscale,
        )

    @classmethod
    def unpack(cls, data: bytes) -> Peer:
        flags, ttl, valid, ts_mod, seqlo, seqhi, seqdiff, max_win, mss, state, wscale = (
            cls.WIRE.unpack(data)
        )
        return cls(seqlo, seqhi, max_win, mss, state, wscale, seqdiff, flags, ttl, valid, ts_mod)


@dataclass(frozen=True)
class Key:
    """Addresses and ports: [0] the far end, [1] the near one."""

    addr: tuple[str, str] = ("0.0.0.0", "0.0.0.0")
    port: tuple[int, int] = (0, 0)
    rdomain: int = 0
    family: int | None = None
    """None: that of the addresses. 0: see the state's."""

    WIRE: ClassVar = struct.Struct("!16s16sHHHBx")

    def pack(self) -> bytes:
        family = family_of(self.addr[0]) if self.family is None else self.family
        return self.WIRE.pack(*map(pack_address, self.addr), *self.port, self.rdomain, family)

    @classmethod
    def unpack(cls, data: bytes, family: int) -> Key:
        """`family` is the state's, which counts if the key says 0."""
        far, near, far_port, near_port, rdomain, own = cls.WIRE.unpack(data)
        addr = (unpack_address(far, own or family), unpack_address(near, own or family))
        usual = own == family_of(addr[0])
        return cls(addr, (far_port, near_port), rdomain, None if usual else own)


class Tuple(NamedTuple):
    """One direction, as conntrack has it. ICMP: the id, then the type."""

    source: str
    sport: int
    destination: str
    dport: int

    def inverted(self) -> Tuple:
        return Tuple(self.destination, self.dport, self.source, self.sport)


@dataclass(frozen=True)
class Id:
    """The name of a state: INS_ACK, UPD_REQ, DEL_C."""

    id: bytes
    creatorid: bytes

    WIRE: ClassVar = struct.Struct("!8s4s")

    def pack(self) -> bytes:
        return self.WIRE.pack(self.id, self.creatorid)

    @classmethod
    def unpack(cls, data: bytes) -> Id:
        return cls(*cls.WIRE.unpack_from(data))


EVERYTHING = Id(bytes(8), bytes(4))
"""In an UPD_REQ: send me all that you have."""


@dataclass(frozen=True)
class State:
    """A whole state: INS, UPD, DEL."""

    id: bytes = bytes.fromhex("0000000000000001")
    creatorid: bytes = bytes.fromhex("deadbeef")
    key: tuple[Key, Key] = (Key(), Key())
    src: Peer = Peer()
    dst: Peer = Peer()
    proto: int = 17
    direction: int = OUT
    timeout: int = 8
    expire: int = 60
    creation: int = 0
    state_flags: int = 0
    ifname: str = "all"
    packets: tuple[int, int] = (0, 0)
    octets: tuple[int, int] = (0, 0)
    family: int | None = None
    """None: that of the addresses."""
    rtaddr: bytes = bytes(16)
    rule: int = 0xFFFFFFFF
    anchor: int = 0xFFFFFFFF
    nat_rule: int = 0xFFFFFFFF
    rtableid: tuple[int, int] = (0, 0)
    max_mss: int = 0
    log: int = 0
    rt: int = 0
    sync_flags: int = 0
    updates: int = 0
    min_ttl: int = 0
    tos: int = 0
    prio: tuple[int, int] = (0, 0)

    WIRE: ClassVar = struct.Struct("!8s16s40s40s32s32s16s5I2Q2Q4s2iH10BH2B")

    @property
    def name(self) -> Id:
        return Id(self.id, self.creatorid)

    def but(self, **changes: Any) -> State:
        """The same with some fields changed."""
        return replace(self, **changes)

    def pack(self) -> bytes:
        addresses = self.key[0].addr
        return self.WIRE.pack(
            self.id,
            self.ifname.encode(),
            *(key.pack() for key in self.key),
            self.src.pack(),
            self.dst.pack(),
            self.rtaddr,
            self.rule,
            self.anchor,
            self.nat_rule,
            self.creation,
            self.expire,
            *self.packets,
            *self.octets,
            self.creatorid,
            *self.rtableid,
            self.max_mss,
            family_of(addresses[0]) if self.family is None else self.family,
            self.proto,
            self.direction,
            self.log,
            self.rt,
            self.timeout,
            self.sync_flags,
            self.updates,
            self.min_ttl,
            self.tos,
            self.state_flags,
            *self.prio,
        )

    @classmethod
    def unpack(cls, data: bytes) -> State:
        (
            id, ifname, far, near, src, dst, rtaddr, rule, anchor, nat_rule, creation, expire,
            packets0, packets1, octets0, octets1, creatorid, rtable0, rtable1, max_mss, family,
            proto, direction, log, rt, timeout, sync_flags, updates, min_ttl, tos, state_flags,
            prio0, prio1,
        ) = cls.WIRE.unpack_from(data)  # fmt: skip
        key = (Key.unpack(far, family), Key.unpack(near, family))
        return cls(
            id=id,
            creatorid=creatorid,
            key=key,
            src=Peer.unpack(src),
            dst=Peer.unpack(dst),
            proto=proto,
            direction=direction,
            timeout=timeout,
            expire=expire,
            creation=creation,
            state_flags=state_flags,
            ifname=text(ifname),
            packets=(packets0, packets1),
            octets=(octets0, octets1),
            family=None if family == family_of(key[0].addr[0]) else family,
            rtaddr=rtaddr,
            rule=rule,
            anchor=anchor,
            nat_rule=nat_rule,
            rtableid=(rtable0, rtable1),
            max_mss=max_mss,
            log=log,
            rt=rt,
            sync_flags=sync_flags,
            updates=updates,
            min_ttl=min_ttl,
            tos=tos,
            prio=(prio0, prio1),
        )

    @classmethod
    def of(
        cls, original: Sequence[Any], reply: Sequence[Any] | None = None, **fields: Any
    ) -> State:
        """The state of a connection; its two tuples are (source, port, destination, port)
        each. Without a reply it is not translated."""
        original = Tuple(*original)
        reply = Tuple(*reply) if reply else original.inverted()
        if fields.get("direction", OUT) == OUT:
            far, near = reply, original.inverted()
        else:
            far, near = original, reply.inverted()
        key = tuple(Key((t.source, t.destination), (t.sport, t.dport)) for t in (far, near))
        return cls(key=key, **fields)

    def tuples(self) -> tuple[Tuple, Tuple]:
        """The original and the reply tuple that conntrack has of it."""
        far, near = (Tuple(key.addr[0], key.port[0], key.addr[1], key.port[1]) for key in self.key)
        if self.direction == OUT:
            return near.inverted(), far
        return far, near.inverted()

    def problem(self) -> str | None:
        """Why it may not be inserted: "value" or "import"; None: it may."""
        families = [self.family, *(key.family for key in self.key)]
        if (
            self.timeout > 19
            or self.src.state > 12
            or self.dst.state > 12
            or self.direction > OUT
            or self.family is not None
            or (any(f is not None for f in families[1:]) and families[1:] != [0, 0])
        ):
            return "value"
        return "import" if self.creatorid == bytes(4) else None


@dataclass(frozen=True)
class Update:
    """UPD_C: what changes often in a state."""

    id: bytes
    creatorid: bytes
    src: Peer = Peer()
    dst: Peer = Peer()
    timeout: int = 8
    expire: int = 0
    state_flags: int = 0

    WIRE: ClassVar = struct.Struct("!8s32s32s4sIBB2x")

    @property
    def name(self) -> Id:
        return Id(self.id, self.creatorid)

    def pack(self) -> bytes:
        return self.WIRE.pack(
            self.id,
            self.src.pack(),
            self.dst.pack(),
            self.creatorid,
            self.expire,
            self.timeout,
            self.state_flags,
        )

    @classmethod
    def unpack(cls, data: bytes) -> Update:
        id, src, dst, creatorid, expire, timeout, flags = cls.WIRE.unpack_from(data)
        return cls(id, creatorid, Peer.unpack(src), Peer.unpack(dst), timeout, expire, flags)


@dataclass(frozen=True)
class Clear:
    """CLR: all states of a creator go."""

    creatorid: bytes
    ifname: str = ""

    WIRE: ClassVar = struct.Struct("!16s4s")

    def pack(self) -> bytes:
        return self.WIRE.pack(self.ifname.encode(), self.creatorid)

    @classmethod
    def unpack(cls, data: bytes) -> Clear:
        ifname, creatorid = cls.WIRE.unpack_from(data)
        return cls(creatorid, text(ifname))


@dataclass(frozen=True)
class Bulk:
    """BUS: a bulk update begins (START) or ends (END)."""

    creatorid: bytes
    status: int
    endtime: int = 0

    START: ClassVar = 1
    END: ClassVar = 2
    WIRE: ClassVar = struct.Struct("!4sIB3x")

    def pack(self) -> bytes:
        return self.WIRE.pack(self.creatorid, self.endtime, self.status)

    @classmethod
    def unpack(cls, data: bytes) -> Bulk:
        creatorid, endtime, status = cls.WIRE.unpack_from(data)
        return cls(creatorid, status, endtime)


@dataclass(frozen=True)
class Tdb:
    """TDB: how far an IPsec association is."""

    spi: int
    destination: bytes = bytes(28)
    replay: int = 0
    octets: int = 0
    protocol: int = 50
    updates: int = 0
    rdomain: int = 0

    WIRE: ClassVar = struct.Struct("!I28sQQBBH")

    def pack(self) -> bytes:
        return self.WIRE.pack(
            self.spi,
            self.destination,
            self.replay,
            self.octets,
            self.protocol,
            self.updates,
            self.rdomain,
        )

    @classmethod
    def unpack(cls, data: bytes) -> Tdb:
        return cls(*cls.WIRE.unpack_from(data))
