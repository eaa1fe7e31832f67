# SPDX-License-Identifier: GPL-2.0
"""pfsync version 6 as bytes, written anew from the protocol's description: what the
module sends, and what it is sent, is not judged by the module's own code.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple

VERSION = 6
HEADER = struct.Struct("!BBH16s")
SECTION = struct.Struct("!BBH")
AF_INET, AF_INET6 = 2, 24
"""Address families are OpenBSD's."""
IN, OUT = 1, 2
"""The direction of a state."""
NO_SYNC, ACK = 0x0008, 0x0010
"""State flags: stays here; wants an INS_ACK."""
LAST_ASSIGNED = 15


class Action(IntEnum):
    CLR = 0
    INS_ACK = 2
    UPD_C = 4
    UPD_REQ = 5
    DEL = 6
    DEL_C = 7
    BUS = 10
    INS = 13
    UPD = 14
    TDB = 15
    # Linux' own, see docs/pfsync-linux.md
    EXTRA = 193
    EXPECT = 194


class Refused(ValueError):
    """Bytes that no receiver may take; `why` is one word for it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def _words(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode()


def _pack_address(address: str) -> bytes:
    return ipaddress.ip_address(address).packed.ljust(16, b"\0")


def _unpack_address(data: bytes, family: int) -> str:
    if family == AF_INET6:
        return str(ipaddress.IPv6Address(data))
    return str(ipaddress.IPv4Address(data[:4]))


def family_of(address: str) -> int:
    return AF_INET6 if ":" in address else AF_INET


# -- messages


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
        return self.WIRE.pack(*map(_pack_address, self.addr), *self.port, self.rdomain, family)

    @classmethod
    def unpack(cls, data: bytes, family: int) -> Key:
        """`family` is the state's, which counts if the key says 0."""
        far, near, far_port, near_port, rdomain, own = cls.WIRE.unpack(data)
        addr = (_unpack_address(far, own or family), _unpack_address(near, own or family))
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
            ifname=_text(ifname),
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
        return cls(creatorid, _text(ifname))


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


# -- Linux' own messages


class TcpLast(NamedTuple):
    """Attribute "tcp": the state, and the last packet."""

    state: int
    direction: int = 0
    retrans: int = 0
    kind: int = 0
    wscale: int = 0
    flags: int = 0
    window: int = 0
    seq: int = 0
    ack: int = 0
    end: int = 0


class TcpSide(NamedTuple):
    """Attributes "tcp_original" and "tcp_reply": what conntrack knows of one side."""

    end: int = 0
    maxend: int = 0
    maxwin: int = 0
    maxack: int = 0
    scale: int = 0
    flags: int = 0


ATTRIBUTES: dict[int, tuple[str, struct.Struct | None, Any]] = {
    1: ("status", struct.Struct("!I"), None),
    2: ("timeout", struct.Struct("!I"), None),
    3: ("zone", struct.Struct("!HB"), tuple),
    4: ("mark", struct.Struct("!I"), None),
    5: ("labels", struct.Struct("16s"), None),
    6: ("helper", None, None),
    7: ("tcp", struct.Struct("!6BH3I"), TcpLast._make),
    8: ("tcp_original", struct.Struct("!4I2B"), TcpSide._make),
    9: ("tcp_reply", struct.Struct("!4I2B"), TcpSide._make),
    10: ("adjust_original", struct.Struct("!Iii"), tuple),
    11: ("adjust_reply", struct.Struct("!Iii"), tuple),
    12: ("sctp", struct.Struct("!B4s4s4B"), tuple),
    13: ("gre", struct.Struct("!II"), tuple),
    14: ("master", Id.WIRE, Id),
    15: ("synproxy", struct.Struct("!III"), tuple),
    16: ("security", None, None),
    17: ("policy", None, None),
    18: ("ids", struct.Struct("!4H"), tuple),
    19: ("start", struct.Struct("!Q"), None),
}
"""By type: the name, the layout (None: text), and what is made of several values (None:
there is one)."""

TYPES = {name: kind for kind, (name, _, _) in ATTRIBUTES.items()}


@dataclass(frozen=True)
class Extra:
    """EXTRA: what conntrack knows of the next state and pf does not."""

    id: bytes
    creatorid: bytes
    values: dict[str | int, Any] = field(default_factory=dict)
    """By name in ATTRIBUTES; those of other types, as bytes, by their type."""

    @property
    def name(self) -> Id:
        return Id(self.id, self.creatorid)

    def pack(self) -> bytes:
        data = self.id + self.creatorid
        for name, value in self.values.items():
            kind = name if isinstance(name, int) else TYPES[name]
            _, layout, many = ATTRIBUTES.get(kind, ("", None, None))
            if isinstance(value, Id):
                value = value.pack()
            elif layout:
                value = layout.pack(*value) if many else layout.pack(value)
            elif isinstance(value, str):
                value = value.encode()
            data += bytes([kind, len(value)]) + value
        return _words(data)

    @classmethod
    def unpack(cls, data: bytes) -> Extra:
        id, creatorid = data[:8], data[8:12]
        values: dict[str | int, Any] = {}
        rest = data[12:]
        while rest:
            kind = rest[0]
            if kind == 0:
                rest = rest[1:]
                continue
            if len(rest) < 2 or len(rest) < 2 + rest[1]:
                raise Refused("length")
            value, rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
            name, layout, many = ATTRIBUTES.get(kind, (kind, None, bytes))
            if layout:
                if len(value) < layout.size:
                    raise Refused("value")
                several = layout.unpack_from(value)
                if many is Id:
                    values[name] = Id(*several)
                else:
                    values[name] = many(several) if many else several[0]
            else:
                values[name] = value if many else value.decode()
        return cls(id, creatorid, values)


@dataclass(frozen=True)
class Expectation:
    """EXPECT: a connection that another one expects."""

    master: Id
    number: int
    present: bool = True
    proto: int = 6
    source: str = "0.0.0.0"
    destination: str = "0.0.0.0"
    port: tuple[int, int] = (0, 0)
    mask_source: bytes = bytes(16)
    mask_port: int = 0
    nat_direction: int = 0
    nat_port: int = 0
    nat_address: bytes = bytes(16)
    timeout: int = 0
    flags: int = 0
    class_: int = 0
    helper: str = ""
    assign_helper: str = ""
    function: str = ""

    WIRE: ClassVar = struct.Struct("!12sI4B16s16sHH16sHH16s3I16s16s32s")

    def pack(self) -> bytes:
        return self.WIRE.pack(
            self.master.pack(),
            self.number,
            1 if self.present else 2,
            family_of(self.destination),
            self.proto,
            self.nat_direction,
            _pack_address(self.source),
            _pack_address(self.destination),
            *self.port,
            self.mask_source,
            self.mask_port,
            self.nat_port,
            self.nat_address,
            self.timeout,
            self.flags,
            self.class_,
            self.helper.encode(),
            self.assign_helper.encode(),
            self.function.encode(),
        )

    @classmethod
    def unpack(cls, data: bytes) -> Expectation:
        (
            master, number, kind, family, proto, nat_direction, source, destination, sport, dport,
            mask_source, mask_port, nat_port, nat_address, timeout, flags, class_, helper,
            assign_helper, function,
        ) = cls.WIRE.unpack_from(data)  # fmt: skip
        if kind not in (1, 2):
            raise Refused("value")
        return cls(
            Id.unpack(master),
            number,
            kind == 1,
            proto,
            _unpack_address(source, family),
            _unpack_address(destination, family),
            (sport, dport),
            mask_source,
            mask_port,
            nat_direction,
            nat_port,
            nat_address,
            timeout,
            flags,
            class_,
            _text(helper),
            _text(assign_helper),
            _text(function),
        )


# -- frames

Message = State | Update | Id | Clear | Bulk | Tdb | Extra | Expectation

KINDS: dict[int, tuple[Any, int]] = {
    Action.CLR: (Clear, 20),
    Action.INS_ACK: (Id, 12),
    Action.UPD_C: (Update, 84),
    Action.UPD_REQ: (Id, 12),
    Action.DEL: (State, 264),
    Action.DEL_C: (Id, 12),
    Action.BUS: (Bulk, 12),
    Action.INS: (State, 264),
    Action.UPD: (State, 264),
    Action.TDB: (Tdb, 52),
    Action.EXTRA: (Extra, 12),
    Action.EXPECT: (Expectation, 168),
}
"""By action: its messages, and how long they are at least."""


@dataclass(frozen=True)
class Section:
    """Messages of one action and one length."""

    action: int
    messages: tuple[Message | bytes, ...] = ()
    """Bytes where the action is not known, or they are too short for it."""

    def pack(self) -> bytes:
        packed = [m if isinstance(m, bytes) else m.pack() for m in self.messages]
        longest = max(map(len, packed), default=0)
        body = b"".join(_words(m.ljust(longest, b"\0")) for m in packed)
        words = -(-longest // 4)
        return SECTION.pack(self.action, words, len(packed)) + body

    @classmethod
    def unpack(cls, data: bytes) -> tuple[Section, bytes]:
        """The first section, and what follows it."""
        action, words, count = SECTION.unpack_from(data)
        size = words * 4
        body, rest = data[4 : 4 + size * count], data[4 + size * count :]
        kind, least = KINDS.get(action, (None, 0))
        if action > LAST_ASSIGNED and not kind and not size * count:
            raise Refused("action")
        if len(body) < size * count:
            raise Refused("length")
        messages = tuple(body[i * size : (i + 1) * size] for i in range(count))
        if kind and size >= least:
            messages = tuple(kind.unpack(message) for message in messages)
        return cls(action, messages), rest


@dataclass(frozen=True)
class Frame:
    """What follows the IP header."""

    sections: tuple[Section, ...] = ()

    def pack(self) -> bytes:
        body = b"".join(section.pack() for section in self.sections)
        return HEADER.pack(VERSION, 0, HEADER.size + len(body), bytes(16)) + body

    @classmethod
    def unpack(cls, data: bytes) -> Frame:
        """Raises Refused where a receiver stops: "short", "version", "length", "action"."""
        if len(data) < HEADER.size:
            raise Refused("short")
        version, _, length, _ = HEADER.unpack_from(data)
        if version != VERSION:
            raise Refused("version")
        if not HEADER.size <= length <= len(data):
            raise Refused("length")
        rest = data[HEADER.size : length]
        sections = []
        while len(rest) >= SECTION.size:
            section, rest = Section.unpack(rest)
            sections.append(section)
        return cls(tuple(sections))

    @property
    def actions(self) -> list[int]:
        return [section.action for section in self.sections]

    def all(self, *actions: int) -> list[Any]:
        """The messages of these actions that could be read."""
        return [
            message
            for section in self.sections
            if section.action in actions
            for message in section.messages
            if not isinstance(message, bytes)
        ]

    def states(self) -> list[State]:
        """All whole states that are inserted or updated."""
        return self.all(Action.INS, Action.UPD)


def frame(*sections: tuple[Any, ...]) -> bytes:
    """A frame's bytes, of sections like (Action.INS, state, state)."""
    return Frame(tuple(Section(action, tuple(rest)) for action, *rest in sections)).pack()
