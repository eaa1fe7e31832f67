# SPDX-License-Identifier: GPL-2.0
"""A router that many connections go through, and a peer that may be told of them."""

from __future__ import annotations

from lib.host import Host
from lib.process import run
from lib.world import World

TOOL = "/carp/bin/connections"


class Router:
    """a routes between a client and a server; b is its peer on a cable of their own."""

    def __init__(self, world: World) -> None:
        self.a, self.b, self.client, self.server = world.make_hosts("a", "b", "client", "server")
        world.cable(self.a, "eth0", self.client, "eth0")
        world.cable(self.a, "eth1", self.server, "eth0")
        world.cable(self.a, "eth2", self.b, "eth2")
        self.client.ip("link", "set", "eth0", "up")
        self.server.ip("link", "set", "eth0", "up")
        self.a.ip_batch(
            *(f"link set eth{number} up" for number in range(3)),
            "addr add 10.1.0.1/16 dev eth0",
            "addr add 10.2.0.1/16 dev eth1",
            "addr add 172.16.0.1/24 dev eth2",
            "neigh add 10.2.0.100 lladdr 02:00:00:00:00:64 dev eth1 nud permanent",
            *(
                f"neigh add {client} lladdr 02:00:00:00:00:65 dev eth0 nud permanent"
                for client in (f"10.1.3.{232 + number}" for number in range(8))
            ),
        )
        self.b.ip_batch("link set eth2 up", "addr add 172.16.0.2/24 dev eth2")
        self.a.sysctl("net.ipv4.ip_forward", 1)
        for host in (self.a, self.b):
            # all tests see the same cost of tracking
            host.run(
                "nft", "add table t; add chain t c { type filter hook forward priority 0; };"
                " add rule t c ct state new counter",
            )  # fmt: skip
        run(("sysctl", "-qw", "net.netfilter.nf_conntrack_buckets=262144"))
        run(("sysctl", "-qw", "net.netfilter.nf_conntrack_max=1048576"))

    def connect(self, first: int, count: int, rate: int = 0) -> float:
        """Opens connections; returns the seconds that it took."""
        words = (
            TOOL, "eth0", self.a.link("eth0").address, "/run/netns/server", "eth0",
            self.a.link("eth1").address, str(first), str(count), str(rate),
        )  # fmt: skip
        return int(self.client.run(*words, timeout=600).stdout) / 1e9

    def count(self, host: Host) -> int:
        return int(host.sysctl("net.netfilter.nf_conntrack_count"))

    def wire_bytes(self) -> int:
        """Bytes that have passed a's end of the cable to b, both ways."""
        with self.a.inside(), open("/proc/thread-self/net/dev") as f:
            [line] = [line for line in f if line.strip().startswith("eth2:")]
        fields = line.split()
        return int(fields[1]) + int(fields[9])
