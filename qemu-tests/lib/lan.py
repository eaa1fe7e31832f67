# SPDX-License-Identifier: GPL-2.0
"""Hosts and a client on one switch.

    a       b       c …     client
    eth0    eth0    eth0    eth0
     │       │       │       │        a host's port is called like the host
    ─a───────b───────c───────client─  br0 on the host "switch"

10.0.0.0/24 and fd00::/64: hosts from .2 and ::2 on, the client .100 and ::100,
.1 and ::1 for the virtual host under test.
"""

from __future__ import annotations

import string

from lib.clock import wait_for
from lib.host import Host
from lib.world import World

VIP = "10.0.0.1"
VIP6 = "fd00::1"


class Lan:
    """Hosts named a, b, c… and a client. Use the fixtures `lan` or `make_lan`."""

    def __init__(self, world: World, hosts: int, mtu: int = 1500) -> None:
        names = list(string.ascii_lowercase[:hosts])
        self.switch, *rest = world.make_hosts("switch", *names, "client")
        self.hosts = rest[:-1]
        self.client = rest[-1]
        numbered = [*enumerate(self.hosts, 2), (100, self.client)]
        # Snooping would hold back groups that nobody has joined yet, and time is
        # what is measured; the tests of group membership switch it on.
        lines = ["link add br0 type bridge forward_delay 0 mcast_snooping 0"]
        for number, host in numbered:
            host.address = f"10.0.0.{number}"
            host.address6 = f"fd00::{number}"
            host.mac = f"02:00:00:00:00:{number:02x}"
            lines += [
                f"link add name {host.name} mtu {mtu} type veth peer name eth0"
                f" address {host.mac} mtu {mtu} netns {host.name}",
                f"link set dev {host.name} master br0 up",
            ]
        self.switch.ip_batch(*lines, "link set dev br0 up")
        for _, host in numbered:
            host.ip_batch(
                "link set dev eth0 up",
                f"addr add {host.address}/24 dev eth0",
                f"addr add {host.address6}/64 dev eth0",
            )
        for host in rest:
            host.settle()

    @property
    def a(self) -> Host:
        return self.hosts[0]

    @property
    def b(self) -> Host:
        return self.hosts[1]

    def _port(self, host: Host, *words: str) -> None:
        self.switch.run("bridge", "link", "set", "dev", host.name, *words)

    def hard_cut(self, host: Host) -> None:
        """Nothing passes the host's port any more, though its carrier stays: the
        host does not notice, as if a switch on the way had died."""
        self._port(host, "state", "0")

    def heal(self, host: Host) -> None:
        """Takes a hard cut back."""
        self._port(host, "state", "3")

    def cable_pull(self, host: Host) -> None:
        """The host loses its carrier."""
        self.switch.ip("link", "set", "dev", host.name, "down")

    def cable_plug(self, host: Host) -> None:
        """Takes a pulled cable back; returns when the host's device sends again,
        for which the kernel may take a second."""
        self.switch.ip("link", "set", "dev", host.name, "up")
        wait_for(lambda: host.link().operstate == "up", 5, f"eth0 of {host} is up again")
