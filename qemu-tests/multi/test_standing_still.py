# SPDX-License-Identifier: GPL-2.0
"""A firewall that is stopped and goes on, as for a snapshot or when it moves to another
host, or that sleeps; and connections that were opened and closed meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cluster import DEAF, Cluster, Node, wait_for
from lib.frames import Advertisement
from lib.pinger import longest_gap, lost
from outside import FORWARDING, GATEWAY, SYSCTLS, Outside, address_of, tracked, wait_tracked
from test_carp import ADVSKEW, SLACK, TIMEOUT, VHID, VIP, heard, state, wait_state

# of a connection that was closed
OVER = ("TIME_WAIT", "CLOSE", "none")

RULES = f"table inet filter {{{FORWARDING}}}"


@dataclass
class Firewalls:
    """Routers a, the master, and b, with carp0 and pfsync0."""

    cluster: Cluster

    @property
    def a(self) -> Node:
        return self.cluster.a

    @property
    def b(self) -> Node:
        return self.cluster.b

    def start(self) -> None:
        self.outside = Outside(self.cluster.client, VIP)
        for node in (self.a, self.b):
            self._route(node)
        for node in (self.a, self.b):
            wait_for(lambda node=node: self.has_states(node), 30, f"{node} has all states")
        for node, advskew, wanted in (
            (self.a, 0, "master"),
            (self.b, ADVSKEW, "backup"),
        ):
            for words in (
                f"link add carp0 type carp vhid {VHID} carpdev eth0 pass secret advskew {advskew}",
                f"addr add {VIP}/24 dev carp0",
                f"addr add {GATEWAY}/24 dev carp0",
                "link set carp0 up",
            ):
                node.run("ip", *words.split())
            wait_state(node, wanted, 20)
        time.sleep(DEAF)

    def has_states(self, node: Node) -> bool:
        return "bulk done" in node.run("ip", "-d", "link", "show", "pfsync0")

    def _route(self, node: Node) -> None:
        node.run("modprobe", "-qa", "nf_nat", "nf_conntrack_netlink", check=False)
        for module in ("carp", "pfsync_conntrack"):
            node.run("insmod", f"/carp/{module}.ko")
        node.write("/run/rules", RULES)
        for command in (
            "nft -f /run/rules",
            "sysctl -qw " + " ".join(f"{name}={value}" for name, value in SYSCTLS.items()),
            f"ip addr add {address_of(node)}/24 dev eth0",
            "ip link add pfsync0 type pfsync syncdev eth0 local",
            "ip link set pfsync0 up",
        ):
            node.run(*command.split())

    def freeze(self, node: Node) -> None:
        """It stands still, and what is sent to it is lost: the hub and QEMU would keep
        it, and it would forward what is long past when it wakes up."""
        self.cluster.hub.cut(node.name)
        node.freeze()

    def thaw(self, node: Node) -> None:
        self.cluster.hub.heal(node.name)
        node.thaw()

    def heard(self, node: Node, since: int) -> list[Advertisement]:
        return heard(self.cluster, node.name, since)


@pytest.fixture
def firewalls(cluster: Cluster) -> Iterator[Firewalls]:
    pair = Firewalls(cluster)
    pair.start()
    yield pair
    pair.outside.close()


@pytest.mark.parametrize("seconds", [4, 10, 40])
def test_the_master_is_stopped_and_goes_on(firewalls: Firewalls, seconds: float) -> None:
    """It is master when it wakes up, as if nothing had been."""
    a, b = firewalls.a, firewalls.b
    kept, closed = firewalls.outside.connect(), firewalls.outside.connect()
    wait_tracked(b, closed)
    start = time.monotonic()
    firewalls.freeze(a)
    wait_state(b, "master")
    firewalls.outside.connect()
    kept.check()
    closed.hang_up()
    wait_for(lambda: tracked(b, closed) in OVER, 5, "b has seen its end")
    time.sleep(max(0, seconds - (time.monotonic() - start)))
    pinger = firewalls.cluster.client.ping(VIP)
    woken = time.monotonic_ns()
    firewalls.thaw(a)
    wait_state(b, "backup")
    assert state(a) == "master"
    time.sleep(1)
    outage = longest_gap(pinger.stop()).seconds
    print(f"carp, stopped for {seconds} s: outage at the client {outage:.3f} s")
    assert outage < SLACK
    assert len(firewalls.heard(b, woken)) <= 1


def test_the_backup_is_stopped_and_goes_on(firewalls: Firewalls) -> None:
    """It has missed the master for long, and does not notice; nor does the master."""
    a, b = firewalls.a, firewalls.b
    kept, closed = firewalls.outside.connect(), firewalls.outside.connect()
    wait_tracked(b, closed)
    pinger = firewalls.cluster.client.ping(VIP)
    start = time.monotonic_ns()
    firewalls.freeze(b)
    opened = firewalls.outside.connect()
    closed.hang_up()
    time.sleep(TIMEOUT + 1)
    firewalls.thaw(b)
    time.sleep(TIMEOUT + 1)
    assert (state(a), state(b)) == ("master", "backup")
    assert not firewalls.heard(b, start)
    assert len(lost(pinger.stop())) <= 1
    # b has them when it is its turn
    a.run("ip", "link", "set", "carp0", "down")
    wait_state(b, "master")
    for connection in (kept, opened):
        connection.check()
    assert tracked(b, closed) in OVER


@pytest.mark.parametrize("deaf", [False, True])
def test_the_master_sleeps_with_connections(firewalls: Firewalls, deaf: bool) -> None:
    """Who suspends hands over first, and knows what happened meanwhile when it is his turn
    again, even if nothing reached him while he slept. As far as the kernel's own test of
    it goes: programs sleep for five seconds."""
    a, b = firewalls.a, firewalls.b
    kept, closed = firewalls.outside.connect(), firewalls.outside.connect()
    wait_tracked(b, closed)
    pinger = firewalls.cluster.client.ping(VIP)
    a.write("/sys/power/pm_test", "freezer")
    a.spawn("sh", "-c", "sleep 0.5; echo freeze >/sys/power/state")
    wait_state(b, "master")
    if deaf:
        firewalls.cluster.hub.cut("a")
    opened = firewalls.outside.connect()
    kept.check()
    closed.hang_up()
    # no program of a's answers before it is awake
    a.run("true")
    firewalls.cluster.hub.heal("a")
    outage = longest_gap(pinger.stop()).seconds
    print(f"carp, suspend with connections: outage at the client {outage:.3f} s")
    assert outage < TIMEOUT - SLACK, "nobody waited for the master to be missed"
    time.sleep(TIMEOUT + 1)
    assert (state(a), state(b)) == ("backup", "master")
    b.run("ip", "link", "set", "carp0", "down")
    wait_state(a, "master")
    for connection in (kept, opened):
        connection.check()
    assert tracked(a, closed) in OVER
