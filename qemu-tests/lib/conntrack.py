# SPDX-License-Identifier: GPL-2.0
"""What the kernel's connection tracking knows, asked for by hand: to run conntrack(8)
costs three million instructions, and it does not tell all.
"""

from __future__ import annotations

import socket
import struct
import tempfile
from typing import Any

from lib.host import Host
from lib.pfsync_wire import Tuple
from lib.rtnl import NLM_F_REQUEST, NLMSG_ERROR, attributes

NETLINK_NETFILTER = 12
NLM_F_DUMP, NLM_F_DUMP_INTR = 0x300, 0x10
NLMSG_DONE = 3
CT_GET = 1 << 8 | 1
TCP_STATES = (
    "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
    "TIME_WAIT", "CLOSE", "SYN_SENT2",
)  # fmt: skip

# enum ip_conntrack_status
STATUS = {
    "EXPECTED": 1 << 0,
    "SEEN_REPLY": 1 << 1,
    "ASSURED": 1 << 2,
    "CONFIRMED": 1 << 3,
    "SRC_NAT": 1 << 4,
    "DST_NAT": 1 << 5,
    "SEQ_ADJUST": 1 << 6,
    "DYING": 1 << 9,
    "FIXED_TIMEOUT": 1 << 10,
    "HELPER": 1 << 13,
    "OFFLOAD": 1 << 14,
}


def _number(data: bytes) -> int:
    return int.from_bytes(data)


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode()


def _tuple(data: bytes) -> tuple[int, Tuple]:
    """The protocol, and the tuple; of ICMP the id, and the type with the code."""
    found = dict(attributes(data))
    ip, proto = dict(attributes(found[1])), dict(attributes(found[2]))
    family, first = (socket.AF_INET, 1) if 1 in ip else (socket.AF_INET6, 3)
    source, destination = (socket.inet_ntop(family, ip[first + i]) for i in (0, 1))
    # ICMP: 4 and 7 are the id, then type and code
    ids = (2, 3) if 2 in proto else (4, 5) if 4 in proto else (7, 8)
    ports = [_number(proto.get(i, b"")) for i in ids]
    if ids[0] != 2:
        ports[1] = ports[1] << 8 | _number(proto.get(ids[1] + 1, b""))
    return _number(proto[1]), Tuple(source, ports[0], destination, ports[1])


def _tcp(data: bytes) -> dict[str, Any]:
    tcp = dict(attributes(dict(attributes(data)).get(1, b"")))
    if not tcp:
        return {}
    return {
        "tcp": TCP_STATES[tcp[1][0]],
        "wscale": (tcp[2][0], tcp[3][0]),
        "flags": (tcp[4][0], tcp[5][0]),
    }


def _adjust(data: bytes) -> tuple[int, int, int]:
    found = dict(attributes(data))
    position, before, after = (found[i] for i in (1, 2, 3))
    return (
        _number(position),
        int.from_bytes(before, signed=True),
        int.from_bytes(after, signed=True),
    )


def _counters(data: bytes) -> tuple[int, int]:
    found = dict(attributes(data))
    return _number(found[1]), _number(found[2])


# by CTA_*: what it is called, and how it is read
VALUES = {
    3: ("status", _number),
    5: ("helper", lambda data: _text(dict(attributes(data))[1])),
    7: ("timeout", _number),
    8: ("mark", _number),
    9: ("counters_original", _counters),
    10: ("counters_reply", _counters),
    12: ("id", _number),
    14: ("master", lambda data: _tuple(data)[1]),
    15: ("adjust_original", _adjust),
    16: ("adjust_reply", _adjust),
    18: ("zone", _number),
    19: ("secctx", lambda data: _text(dict(attributes(data))[1])),
    20: ("start", lambda data: _number(dict(attributes(data)).get(1, b""))),
    22: ("labels", bytes),
}


def read(body: bytes) -> dict[str, Any]:
    """One entry, of what follows struct nfgenmsg."""
    found = dict(attributes(body))
    proto, original = _tuple(found[1])
    entry: dict[str, Any] = {
        "proto": proto,
        "original": original,
        "reply": _tuple(found[2])[1],
        "zone": 0,
        "mark": 0,
    }
    for kind, (name, value) in VALUES.items():
        if kind in found:
            entry[name] = value(found[kind])
    return entry | _tcp(found.get(4, b""))


def has(entry: dict[str, Any], *names: str) -> bool:
    """Whether all these bits of STATUS are set."""
    return all(entry["status"] & STATUS[name] for name in names)


def _dump(s: socket.socket) -> list[bytes] | None:
    """The bodies; None: the table changed too much meanwhile."""
    s.send(struct.pack("=IHHIIBBH", 20, CT_GET, NLM_F_REQUEST | NLM_F_DUMP, 1, 0, 0, 0, 0))
    bodies = []
    whole = True
    while True:
        data = s.recv(1 << 17)
        while data:
            length, kind, flags = struct.unpack_from("=IHH", data)
            whole = whole and not flags & NLM_F_DUMP_INTR
            if kind == NLMSG_DONE:
                return bodies if whole else None
            if kind == NLMSG_ERROR:
                code = -struct.unpack_from("=i", data, 16)[0]
                raise OSError(code, "the conntrack entries could not be listed")
            bodies.append(data[20:length])
            data = data[(length + 3) & ~3 :]


def entries(host: Host, **wanted: Any) -> list[dict[str, Any]]:
    """The entries of a host as dicts: "proto", "original" and "reply" (each source,
    sport, destination, dport), "status", "timeout", "mark", "zone", "tcp" (its state),
    "wscale", "flags", "helper", "labels"…; those alone that have these values."""
    with host.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as s:
        bodies = None
        while bodies is None:
            bodies = _dump(s)
    found = map(read, bodies)
    return [e for e in found if all(e.get(name) == value for name, value in wanted.items())]


def entry(host: Host, **wanted: Any) -> dict[str, Any] | None:
    """The only entry with these values, None if there is none."""
    found = entries(host, **wanted)
    assert len(found) < 2, f"{host} has {len(found)} entries with {wanted}"
    return found[0] if found else None


def count(host: Host) -> int:
    """How many there are, at the least price."""
    return int(host.sysctl("net.netfilter.nf_conntrack_count"))


def restore(host: Host, count: int, mark: int = 0) -> None:
    """Has conntrack(8) put so many entries into the table, without a packet."""
    lines = []
    for number in range(count):
        source, port = f"10.9.{number // 250}.{number % 250 + 1}", 1024 + number
        lines.append(
            f"-A -t 600 -u SEEN_REPLY -m {mark} -s {source} -d 192.0.2.9 -r 192.0.2.9 -q {source} "
            f"-p udp --sport {port} --dport 53 --reply-port-src 53 --reply-port-dst {port}\n"
        )
    with tempfile.NamedTemporaryFile("w") as file:
        file.writelines(lines)
        file.flush()
        host.run("conntrack", "-R", file.name)
