# SPDX-License-Identifier: GPL-2.0
"""Two firewalls that share their states, without carp: a test says who is on the way.

    client ── inside: eth0 ── a, b ── eth1: outside ── server
                               └─ eth2 ┘  sync: pfsync0

The shared address outside belongs to nobody: it is only translated.
"""

from __future__ import annotations

import socket
from typing import Any

from lib import conntrack
from lib import pfsync as p
from lib.clock import wait_for
from lib.conntrack import STATUS
from lib.host import Host
from lib.world import World

CLIENT, SERVER, SHARED = "10.1.0.100", "192.0.2.100", "192.0.2.1"
CLIENT6, SERVER6 = "fd01::100", "fd02::100"
FORWARDED = 8000

# enum ip_conntrack_status: what both hosts must have; the rest is about the host alone
SAME_STATUS = sum(
    STATUS[name]
    for name in (
        "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED", "SRC_NAT", "DST_NAT", "SEQ_ADJUST",
        "FIXED_TIMEOUT", "HELPER",
    )
)  # fmt: skip
BE_LIBERAL = 0x08
"""Of IP_CT_TCP_FLAG_…: a host that was told of windows has it until it knows better."""

NAT = f"""
table ip nat {{
    chain prerouting {{
        type nat hook prerouting priority dstnat
        iifname "eth1" ip daddr {SHARED} tcp dport {FORWARDED} dnat to {CLIENT}:8080
        iifname "eth1" ip daddr {SHARED} udp dport {FORWARDED} dnat to {CLIENT}:8080
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat
        oifname "eth1" ip saddr 10.1.0.0/24 snat to {SHARED}
    }}
}}
"""


class Pair:
    """The firewalls a and b, a client and a server; pfsync runs, and a is on the way."""

    def __init__(self, world: World, rules: str = "", words: str = "", start: bool = True) -> None:
        self.a, self.b, self.client, self.server, self.switch = world.make_hosts(
            "a", "b", "client", "server", "switch"
        )
        ends = (("inside", "eth0", self.client), ("outside", "eth1", self.server))
        lines = []
        for side, device, other in ends:
            lines.append(f"link add {side} up type bridge forward_delay 0 mcast_snooping 0")
            for host in (self.a, self.b, other):
                peer = "eth0" if host is other else device
                port = f"{host}{peer[3]}"
                lines += [
                    f"link add name {port} type veth peer name {peer} netns {host}",
                    f"link set dev {port} master {side} up",
                ]
        self.switch.ip_batch(*lines)
        world.cable(self.a, "eth2", self.b, "eth2")
        for number, host in ((2, self.a), (3, self.b)):
            host.address = f"172.16.0.{number}"
            host.ip_batch(
                f"addr add 10.1.0.{number}/24 dev eth0",
                f"addr add fd01::{number}/64 dev eth0 nodad",
                f"addr add 192.0.2.{number}/24 dev eth1",
                f"addr add fd02::{number}/64 dev eth1 nodad",
                f"addr add {host.address}/24 dev eth2",
                *(f"link set eth{i} up" for i in range(3)),
            )
            host.sysctl("net.ipv4.ip_forward", 1)
            host.sysctl("net.ipv6.conf.all.forwarding", 1)
            if rules:
                host.run("nft", "-f", "-", input=rules)
        for host, address, address6 in (
            (self.client, CLIENT, CLIENT6),
            (self.server, SERVER, SERVER6),
        ):
            host.address, host.address6 = address, address6
            host.ip_batch(
                f"addr add {address}/24 dev eth0",
                f"addr add {address6}/64 dev eth0 nodad",
                "link set eth0 up",
            )
        self.via(self.a)
        for host in (*self.hosts, self.client, self.server):
            host.settle()
        if start:
            for host in self.hosts:
                p.create(host, words, syncdev="eth2", local=False)
            for host in self.hosts:
                p.wait_bulk(host)

    @property
    def hosts(self) -> tuple[Host, Host]:
        return self.a, self.b

    def via(self, host: Host) -> None:
        """Everything goes through this host from now on."""
        number = 2 if host is self.a else 3
        self.client.ip_batch(
            f"route replace default via 10.1.0.{number}",
            f"route replace default via fd01::{number}",
        )
        self.server.ip_batch(
            f"route replace default via 192.0.2.{number}",
            f"route replace {SHARED}/32 via 192.0.2.{number}",
            f"route replace default via fd02::{number}",
        )

    def cut_off(self) -> None:
        """The two hear nothing of each other any more, though their links stay."""
        for host in self.hosts:
            host.run("tc", "qdisc", "add", "dev", "eth2", "root", "netem", "loss", "100%")

    def join(self) -> None:
        """Takes that back."""
        for host in self.hosts:
            host.run("tc", "qdisc", "del", "dev", "eth2", "root")

    def entries(self, **wanted: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The entry of both hosts, when both have the only one with these values."""
        both = [conntrack.entry(host, **wanted) for host in self.hosts]
        return (both[0], both[1]) if both[0] and both[1] else None

    def wait_same(self, timeout: float = 1.3, **wanted: Any) -> dict[str, Any]:
        """Waits until both have the entry with these values, and it is the same; returns
        the peer's."""

        def there() -> dict[str, Any] | None:
            both = self.entries(**wanted)
            return both[1] if both and not differences(*both) else None

        try:
            return wait_for(there, timeout, f"both hosts have {wanted}", interval=0.05)
        except AssertionError as error:
            both = self.entries(**wanted)
            if both:
                raise AssertionError(f"{error}: {differences(*both)}") from None
            tables = {str(host): conntrack.entries(host) for host in self.hosts}
            raise AssertionError(f"{error}: {tables}") from None

    def wait_gone(self, timeout: float, **wanted: Any) -> None:
        """Waits until no host has the entry any more."""
        for host in self.hosts:
            wait_for(
                lambda host=host: conntrack.entry(host, **wanted) is None,
                timeout,
                f"{wanted} is gone from {host}",
                interval=0.05,
            )


def differences(here: dict[str, Any], there: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """In what two hosts' entries of one connection differ, of what must be the same."""
    result = {}
    for name in here.keys() | there.keys():
        values = here.get(name), there.get(name)
        match name:
            case "id" | "counters_original" | "counters_reply" | "secctx":
                continue
            case "status":
                values = values[0] & SAME_STATUS, values[1] & SAME_STATUS
            case "flags":
                values = tuple(tuple(flag & ~BE_LIBERAL for flag in side) for side in values)
            case "timeout":
                # a second of sending, and one of rounding
                if abs(values[0] - values[1]) <= 2:
                    continue
        if values[0] != values[1]:
            result[name] = values
    return result


class Datagrams:
    """A UDP flow from the client to the server."""

    def __init__(
        self, client: Host, server: Host, address: str, port: int, to: int | None = None
    ) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.server = server.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            self.server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.server.bind(("", to or port))
        self.client = client.socket(family, socket.SOCK_DGRAM)
        self.client.connect((address, port))
        for end in (self.client, self.server):
            end.settimeout(2)

    def send(self) -> None:
        """One there."""
        self.client.send(b"there")
        self.peer = self.server.recvfrom(64)[1]

    def exchange(self) -> None:
        """One there and one back."""
        self.send()
        self.server.sendto(b"back", self.peer)
        assert self.client.recv(64) == b"back"

    def close(self) -> None:
        self.client.close()
        self.server.close()


def exchange(a: socket.socket, b: socket.socket) -> None:
    """Something both ways."""
    for one, other in ((a, b), (b, a)):
        one.sendall(b"hello")
        assert other.recv(16) == b"hello"


def close(*ends: socket.socket) -> None:
    for end in ends:
        end.close()
