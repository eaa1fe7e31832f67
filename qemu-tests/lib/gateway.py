# SPDX-License-Identifier: GPL-2.0
"""Two firewalls that are one: carp on both sides, pfsync between.

    client ── inside: carp0 on eth0 ── a, b ── outside: carp1 on eth1 ── server
                                        └─ eth2 ─┘  sync: pfsync0

They forward, translate the inside's addresses to the shared one outside, and let in
what is asked for at port 8000 of that. The filter drops what is invalid and what is
new without a SYN. a is preferred, with preempt.

To die, a host loses the ports of its switches, while its carrier stays: nothing of it is
heard any more, from one moment to the next. To come back it forgets all that a boot
would make it forget, and begins anew.
"""

from __future__ import annotations

from lib import carp as c
from lib import pfsync as p
from lib.clock import wait_for
from lib.host import Host
from lib.process import run
from lib.world import World

INSIDE, OUTSIDE = "10.1.0.1", "192.0.2.1"
INSIDE6, OUTSIDE6 = "fd01::1", "fd02::1"
CLIENT, SERVER = "10.1.0.100", "192.0.2.100"
CLIENT6, SERVER6 = "fd01::100", "fd02::100"
FORWARDED = 8000
SIDES = ("inside", "outside", "sync")

RULES = f"""
table ip nat {{
    chain prerouting {{
        type nat hook prerouting priority dstnat
        iifname "eth1" tcp dport {FORWARDED} dnat to {CLIENT}:8080
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat
        oifname "eth1" ip saddr 10.1.0.0/24 snat to {OUTSIDE}
    }}
}}
table inet filter {{
    ct helper ftp {{
        type "ftp" protocol tcp
    }}
    chain helpers {{
        type filter hook prerouting priority filter
        tcp dport 21 ct helper set "ftp"
    }}
    chain input {{
        type filter hook input priority filter
        policy drop
        iifname "lo" accept
        ip protocol {{ icmp, 112 }} accept
        meta l4proto {{ ipv6-icmp, 112 }} accept
        iifname "eth2" ip protocol 240 accept
        ct state established,related accept
    }}
    chain forward {{
        type filter hook forward priority filter
        policy drop
        ct state invalid counter drop
        tcp flags & (fin | syn | rst | ack) != syn ct state new counter drop
        ct state established,related accept
        iifname "eth0" accept
        ct status dnat accept
    }}
}}
"""


class Gateway:
    """The two firewalls a and b, a client and a server."""

    def __init__(self, world: World, words: str = "", netem: str = "") -> None:
        self.words = words
        # Who translates FTP's addresses is not loaded by itself.
        run(("modprobe", "-qa", "nf_conntrack_ftp", "nf_nat_ftp"), check=False)
        names = ("a", "b", "client", "server", *SIDES)
        self.a, self.b, self.client, self.server, *switches = world.make_hosts(*names)
        self.switches = dict(zip(SIDES, switches, strict=True))
        self._connect(netem)
        for host, gateways, address, address6 in (
            (self.client, (INSIDE, INSIDE6), CLIENT, CLIENT6),
            (self.server, (OUTSIDE, OUTSIDE6), SERVER, SERVER6),
        ):
            host.address, host.address6 = address, address6
            host.ip_batch(
                "link set eth0 up",
                f"addr add {address}/24 dev eth0",
                f"addr add {address6}/64 dev eth0 nodad",
                *(f"route add default via {gateway}" for gateway in gateways),
            )
        for number, host in ((2, self.a), (3, self.b)):
            host.ip_batch(
                *(f"link set eth{side} up" for side in range(3)),
                f"addr add 10.1.0.{number}/24 dev eth0",
                f"addr add 192.0.2.{number}/24 dev eth1",
                f"addr add 172.16.0.{number}/24 dev eth2",
                f"addr add fd01::{number}/64 dev eth0 nodad",
                f"addr add fd02::{number}/64 dev eth1 nodad",
            )
            host.sysctl("net.ipv4.ip_forward", 1)
            host.sysctl("net.ipv6.conf.all.forwarding", 1)
            host.sysctl("net.inet.carp.preempt", 1)
            # the strict kind of conntrack: it takes up no connection in the middle
            host.run("nft", "-f", "-", input=RULES)
            host.sysctl("net.netfilter.nf_conntrack_tcp_loose", 0)
            self.boot(host)
        self.wait_master(self.a)
        for host in self.hosts:
            p.wait_bulk(host)

    @property
    def hosts(self) -> tuple[Host, Host]:
        return self.a, self.b

    def other(self, host: Host) -> Host:
        return self.b if host is self.a else self.a

    def _connect(self, netem: str) -> None:
        ends = {
            "inside": (("a", "eth0"), ("b", "eth0"), ("client", "eth0")),
            "outside": (("a", "eth1"), ("b", "eth1"), ("server", "eth0")),
            "sync": (("a", "eth2"), ("b", "eth2")),
        }
        for side, switch in self.switches.items():
            switch.ip_batch(
                "link add br0 type bridge forward_delay 0 mcast_snooping 0",
                *(
                    f"link add name {name} type veth peer name {device} netns {name}"
                    for name, device in ends[side]
                ),
                *(f"link set dev {name} master br0 up" for name, _ in ends[side]),
                "link set dev br0 up",
            )
        if netem:
            for name in ("a", "b"):
                self.switches["sync"].run(
                    "tc", "qdisc", "add", "dev", name, "root", "netem", *netem.split()
                )

    def _ports(self, host: Host, state: int) -> None:
        for switch in self.switches.values():
            switch.run("bridge", "link", "set", "dev", host.name, "state", str(state))

    def boot(self, host: Host) -> None:
        """What a start script does."""
        advskew = 0 if host is self.a else 100
        p.create(host, self.words, syncdev="eth2")
        for vhid, device, addresses in (
            (1, 0, (f"{INSIDE}/24", f"{INSIDE6}/64")),
            (2, 1, (f"{OUTSIDE}/24", f"{OUTSIDE6}/64")),
        ):
            c.create(
                host, vhid=vhid, advskew=advskew, addresses=addresses,
                name=f"carp{device}", carpdev=f"eth{device}",
            )  # fmt: skip

    def die(self, host: Host) -> None:
        """Hard, from one moment to the next."""
        self._ports(host, 0)

    def come_back(self, host: Host) -> None:
        """After its death: without states, and with all to be asked for."""
        host.ip_batch("link del carp0", "link del carp1", "link del pfsync0")
        host.run("conntrack", "-F")
        host.run("conntrack", "-F", "expect")
        self._ports(host, 3)
        self.boot(host)

    def wait_master(self, host: Host, timeout: float = 20) -> None:
        """Waits until a host is master on both sides, and the other is not."""
        for name in ("carp0", "carp1"):
            c.wait_state(host, "master", timeout, name)
            wait_for(
                lambda name=name: c.state(self.other(host), name) != "master",
                5,
                f"{name} on {self.other(host)} is not master",
            )

    def wait_one(self, host: Host, timeout: float = 20) -> None:
        """Waits until a host is master on both sides, whatever the other thinks: it is
        cut off."""
        for name in ("carp0", "carp1"):
            c.wait_state(host, "master", timeout, name)

    def settle(self) -> None:
        """Waits until both have all states, and the preferred one is master."""
        for host in self.hosts:
            p.wait_bulk(host)
        self.wait_master(self.a)
