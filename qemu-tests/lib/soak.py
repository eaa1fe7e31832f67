# SPDX-License-Identifier: GPL-2.0
"""Three hosts to which things happen, one after the other and at random; now and then
there is quiet, and then everything has to be as it should be.

All hosts have carp0 and carp1 on eth0, of two virtual hosts, and pfsync0 there. What
happens to them is what happens to hosts: they die and come back, cables are pulled,
administrators change what can be changed, states come and go, modules are loaded anew.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable

from lib import carp as c
from lib import conntrack
from lib import pfsync as p
from lib.clock import wait_for
from lib.host import Host
from lib.kernel import work
from lib.lan import VIP, Lan
from lib.modules import insmod, rmmod, rmmod_unused
from lib.process import CommandFailed

INTERFACES = {"carp0": 1, "carp1": 2}
ADDRESSES = ("10.0.0.201/24", "10.0.0.202/24", "fd00::201/64")
"""Those that come and go, on all hosts, for they belong to what is signed."""
STATES_MAX = 300


class Soak:
    """The hosts, and the dice that say what happens next."""

    def __init__(self, lan: Lan, seed: int) -> None:
        self.lan, self.dice = lan, random.Random(seed)
        self.addresses: set[str] = set()
        self.count = 0
        for host in lan.hosts:
            # the hosts' own traffic makes no states
            host.run("nft", "-f", "-", input=p.QUIET)
            self.boot(host)

    # -- a host's life

    def boot(self, host: Host) -> None:
        host.sysctl("net.inet.carp.preempt", self.dice.randrange(2))
        p.create(host, syncdev="eth0")
        for name, vhid in INTERFACES.items():
            skew = self.dice.choice((0, 50, 100, 200))
            address = VIP if vhid == 1 else "10.0.0.200"
            c.create(host, vhid=vhid, advskew=skew, addresses=(f"{address}/24",), name=name)
        host.ip_batch(*(f"addr add {address} dev carp0" for address in self.addresses))

    def halt(self, host: Host) -> None:
        host.ip_batch(*(f"link del {name}" for name in ("pfsync0", *INTERFACES)))

    # -- what may happen; a host may be cut off meanwhile, or its interfaces down

    def dies(self, host: Host) -> None:
        self.lan.hard_cut(host)

    def comes_back(self, host: Host) -> None:
        self.lan.heal(host)

    def reboots(self, host: Host) -> None:
        self.halt(host)
        host.run("conntrack", "-F")
        self.boot(host)

    def cable(self, host: Host) -> None:
        self.lan.cable_pull(host)
        time.sleep(self.dice.random())
        self.lan.cable_plug(host)

    def link(self, host: Host) -> None:
        name = self.dice.choice(("eth0", "pfsync0", *INTERFACES))
        host.ip_batch(f"link set {name} down", f"link set {name} up")
        if name == "eth0":
            # with it went its IPv6 address
            host.ip("addr", "replace", f"{host.address6}/64", "dev", "eth0", "nodad")

    def stays_down(self, host: Host) -> None:
        host.ip("link", "set", self.dice.choice(("pfsync0", *INTERFACES)), "down")

    def carp_words(self, host: Host) -> None:
        words = self.dice.choice(
            (
                f"advskew {self.dice.randrange(240)}", f"advbase {self.dice.randrange(1, 3)}",
                "state master", "state backup", "carpdev none", "carpdev eth0",
            )
        )  # fmt: skip
        name = self.dice.choice(tuple(INTERFACES))
        host.ip("link", "set", name, "type", "carp", *words.split())

    def pfsync_words(self, host: Host) -> None:
        words = ("maxupd 1", "maxupd 128", "defer", "-defer", "-syncdev", "syncdev eth0")
        p.change(host, self.dice.choice(words))

    def preempt(self, host: Host) -> None:
        host.sysctl("net.inet.carp.preempt", self.dice.randrange(2))

    def address(self, _host: Host) -> None:
        address = self.dice.choice(ADDRESSES)
        verb = "del" if address in self.addresses else "add"
        self.addresses ^= {address}
        for host in self.lan.hosts:
            host.ip("addr", verb, address, "dev", "carp0")

    def states_come(self, host: Host) -> None:
        for _ in range(self.dice.randrange(1, 10)):
            self.count += 1
            host.run(
                "conntrack", "-I", "-p", "udp", "-s", f"192.0.2.{self.count % 250 + 1}",
                "-d", "198.51.100.1", "--sport", str(1024 + self.count % 60000),
                "--dport", "53", "-t", str(self.dice.choice((5, 60, 3600))),
            )  # fmt: skip

    def states_go(self, host: Host) -> None:
        for entry in conntrack.entries(host, proto=socket.IPPROTO_UDP):
            if self.dice.random() < 0.3 or self.count > STATES_MAX:
                original = entry["original"]
                host.run(
                    "conntrack", "-D", "-p", "udp", "-s", str(original[0]),
                    "--sport", str(original[1]),
                )  # fmt: skip

    def modules(self, _host: Host) -> None:
        """Unloaded with everything in use, and loaded again."""
        rmmod("carp")
        rmmod_unused("pfsync_conntrack")
        insmod("pfsync_conntrack")
        insmod("carp")
        for host in self.lan.hosts:
            self.boot(host)

    def happen(self) -> str:
        """One of them, to one of the hosts; what it was."""
        often: dict[Callable[[Host], None], int] = {
            self.dies: 3, self.comes_back: 3, self.reboots: 2, self.cable: 2, self.link: 3,
            self.stays_down: 2, self.carp_words: 6, self.pfsync_words: 4, self.preempt: 1,
            self.address: 2, self.states_come: 6, self.states_go: 2, self.modules: 1,
        }  # fmt: skip
        (what,) = self.dice.choices(tuple(often), weights=tuple(often.values()))
        host = self.dice.choice(self.lan.hosts)
        try:
            what(host)
        except CommandFailed as error:
            return f"{what.__name__} {host}: {error}"
        return f"{what.__name__} {host}"

    # -- quiet

    def quiet(self) -> None:
        """What is broken is mended, and then everything is as it should be."""
        for host in self.lan.hosts:
            self.lan.heal(host)
            for name in INTERFACES:
                host.ip("link", "set", name, "type", "carp", "carpdev", "eth0", "advbase", "1")
                host.ip("link", "set", name, "up")
            p.change(host, "syncdev eth0 -defer")
            host.ip("link", "set", "pfsync0", "up")
        for name in INTERFACES:
            wait_for(lambda name=name: self.has_one_master(name), 60, f"{name} has one master")
        # Who was cut off with its carrier on does not know that it has missed states; and
        # what came without a packet is met within a second, and told to who asks.
        time.sleep(3)
        for host in self.lan.hosts:
            host.ip_batch("link set pfsync0 down", "link set pfsync0 up")
            p.wait_bulk(host)
        wait_for(
            lambda: self.lan.client.run("ping", "-c1", "-W1", VIP, check=False).returncode == 0,
            work(20),
            "the client reaches the master",
        )
        wait_for(lambda: not self.differences(), 120, "all hosts have the same states")

    def has_one_master(self, name: str) -> bool:
        return sorted(c.state(host, name) for host in self.lan.hosts) == [
            "backup", "backup", "master",
        ]  # fmt: skip

    def differences(self) -> dict[str, set[conntrack.Tuple]]:
        """What not all hosts have, by those who have it."""
        tables = {
            str(host): {
                entry["original"] for entry in conntrack.entries(host, proto=socket.IPPROTO_UDP)
            }
            for host in self.lan.hosts
        }
        everywhere = set.intersection(*tables.values())
        return {name: table - everywhere for name, table in tables.items() if table - everywhere}
