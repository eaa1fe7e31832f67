# SPDX-License-Identifier: GPL-2.0
"""Every kind of device that can be a parent. Those that cannot are in test_refusals.py,
parents in other namespaces in test_namespaces.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.kernel import times
from lib.lan import VIP, VIP6, Lan
from lib.pinger import lost, survived
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

MIXED = (f"{VIP}/24", f"{VIP6}/64")


def ping(host: Host, *addresses: str) -> None:
    for address in addresses or (VIP, VIP6):
        host.run("ping", "-c", "2", "-i", "0.1", "-W", "1", address)


def readdress(host: Host, device: str) -> None:
    """The host's addresses are this device's."""
    host.ip_batch(
        *(["addr flush dev eth0"] if device != "eth0" else []),
        f"addr replace {host.address}/24 dev {device}",
        f"addr replace {host.address6}/64 dev {device} nodad",
    )


def second_cable(lan: Lan, world: World, host: Host) -> None:
    port = f"{host.name}2"
    world.cable(lan.switch, port, host, "eth1")
    lan.switch.ip("link", "set", "dev", port, "master", "br0", "up")


def veth(lan: Lan, world: World, host: Host) -> str:
    return "eth0"


def vlan_on(host: Host, below: str) -> str:
    host.ip_batch(f"link add link {below} name v7 type vlan id 7", "link set v7 up")
    return "v7"


def vlan(lan: Lan, world: World, host: Host) -> str:
    return vlan_on(host, "eth0")


def bond(lan: Lan, world: World, host: Host) -> str:
    if host is lan.client:
        return "eth0"
    second_cable(lan, world, host)
    host.ip_batch(
        "link add bond0 type bond mode active-backup miimon 10",
        "link set eth0 down",
        "link set eth0 master bond0",
        "link set eth1 master bond0",
        "link set bond0 type bond primary eth0",
        "link set bond0 up",
    )
    wait_for(lambda: host.link("bond0").operstate == "up", 3, "the bond has link")
    return "bond0"


def vlan_on_bond(lan: Lan, world: World, host: Host) -> str:
    return vlan_on(host, bond(lan, world, host))


def bridge(lan: Lan, world: World, host: Host) -> str:
    host.ip_batch(
        "link add br1 type bridge forward_delay 0 mcast_snooping 0",
        "link set eth0 master br1",
        "link set br1 up",
    )
    return "br1"


def macvlan(lan: Lan, world: World, host: Host) -> str:
    host.ip_batch("link add link eth0 name p0 type macvlan mode passthru", "link set p0 up")
    return "p0"


def vrf(lan: Lan, world: World, host: Host) -> str:
    if host is not lan.client:
        host.ip_batch(
            "link add vrf1 type vrf table 100",
            "link set vrf1 up",
            "link set eth0 master vrf1",
        )
    return "eth0"


Build = Callable[[Lan, World, Host], str]


def build(lan: Lan, world: World, kind: Build) -> str:
    """Makes the parents and a pair on them; the client has the like of them."""
    for host in (*lan.hosts, lan.client):
        device = kind(lan, world, host)
        readdress(host, device)
        if host is lan.a:
            parent = device
    for host, skew in zip(lan.hosts[:2], (0, 100), strict=True):
        c.create(host, advskew=skew, carpdev=parent, addresses=MIXED)
        if kind is vrf:
            host.ip("link", "set", "carp0", "master", "vrf1")
    c.wait_state(lan.a, "master")
    c.wait_state(lan.b, "backup")
    return parent


def cut(lan: Lan, host: Host, state: int) -> None:
    """As Lan.hard_cut, for all cables of the host."""
    for link in lan.switch.ip_json("link", "show", "master", "br0"):
        if link["ifname"] in (host.name, f"{host.name}2"):
            lan.switch.run("bridge", "link", "set", "dev", link["ifname"], "state", str(state))


@pytest.mark.parametrize("kind", [veth, vlan, bond, vlan_on_bond, bridge, macvlan, vrf])
def test_a_pair(lan: Lan, world: World, kind: Build) -> None:
    """It elects, is reached in both families, fails over, and hands over."""
    build(lan, world, kind)
    time.sleep(4)
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    for host in lan.hosts[:2]:
        assert c.stats(host)["rx_bad_interface"] == 0
    ping(lan.client)
    cut(lan, lan.a, 0)
    c.wait_state(lan.b, "master", 5)
    ping(lan.client)
    lan.a.ip("link", "set", "carp0", "down")
    cut(lan, lan.a, 3)
    lan.a.ip("link", "set", "carp0", "up")
    c.wait_state(lan.a, "backup")
    pinger = lan.client.ping(VIP)
    time.sleep(0.1)
    lan.b.ip("link", "set", "carp0", "down")
    c.wait_state(lan.a, "master", 1)
    ping(lan.client)
    pings = pinger.stop()
    # a bridge opens its filter from a work item, and a macvlan hands multicast up,
    # which a bow-out is, from one; what else has the processor then comes first
    assert len(lost(pings)) < 20 if kind in (bridge, macvlan) else survived(pings), lost(pings)


@pytest.mark.parametrize("kind", [bond, vlan_on_bond])
def test_a_bond_whose_member_fails(lan: Lan, world: World, kind: Build) -> None:
    """The master stays master; switches are told at which port it is now."""
    build(lan, world, kind)
    ping(lan.client)
    capture = lan.client.capture(only="arp")
    lan.cable_pull(lan.a)
    wait_for(
        lambda: any(p.data[6:12] == c.virtual_mac(1) for p in capture.packets()),
        2,
        "a gratuitous ARP by the other port",
    )
    ping(lan.client)
    time.sleep(5)
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    lan.switch.ip("link", "set", "dev", "a2", "down")
    c.wait_state(lan.b, "master", 5)
    ping(lan.client)


def test_the_filter_of_a_bridge_follows_the_state(lan: Lan, world: World) -> None:
    """The backup's bridge does not take what the switch floods for the master."""
    build(lan, world, bridge)
    wait_for(lambda: promiscuity(lan.a) == 1, 2, "the master's bridge hears the virtual MAC")
    assert promiscuity(lan.b) == 0
    # the switch does not learn where the master is, and sends all to everybody
    lan.switch.run("bridge", "link", "set", "dev", "a", "learning", "off", "flood", "on")
    lan.switch.run("bridge", "fdb", "flush", "dev", "br0", "dynamic")
    before = received(lan.b)
    lan.client.run("ping", "-c", "50", "-i", "0.01", "-W", "1", VIP)
    assert received(lan.b) - before < 10
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)
    wait_for(lambda: promiscuity(lan.b) == 1, 1, "its filter is open")
    assert promiscuity(lan.a) == 0
    before = received(lan.b)
    lan.client.run("ping", "-c", "50", "-i", "0.01", "-W", "1", VIP)
    assert received(lan.b) - before >= 50
    lan.b.ip("link", "set", "carp0", "type", "carp", "state", "backup")
    wait_for(lambda: promiscuity(lan.b) == 0, 1, "and closed again")
    c.wait_state(lan.b, "master", 5)
    lan.b.ip("link", "set", "carp0", "type", "carp", "carpdev", "none")
    assert promiscuity(lan.b) == 0


def promiscuity(host: Host) -> int:
    return host.show("br1")["promiscuity"]


def received(host: Host) -> int:
    return host.show("br1")["stats64"]["rx"]["packets"]


@pytest.mark.parametrize("own4", [True, False], ids=["", "nor IPv4"])
def test_a_parent_without_ipv6(lan: Lan, own4: bool) -> None:
    """It would drop what comes to the virtual MAC, so the interface takes it; the way
    back leads through it."""
    if not own4:
        lan.a.ip("-4", "addr", "flush", "dev", "eth0")
    lan.a.sysctl("net.ipv6.conf.eth0.disable_ipv6", 1)
    c.create(lan.a, addresses=MIXED)
    c.wait_state(lan.a, "master")
    ping(lan.client)
    ping(lan.a, lan.client.address6)
    lan.client.ip("neigh", "flush", "all")
    ping(lan.client, VIP6)
    lan.a.sysctl("net.ipv6.conf.eth0.disable_ipv6", 0)
    ping(lan.client, VIP6)


def test_all_vhids_elect(lan: Lan) -> None:
    """255 on each of two hosts, on one parent: every one has one master, and all fail
    over."""
    number = times(255)
    for host, skew in zip(lan.hosts[:2], (0, 100), strict=True):
        host.ip_batch(
            *(
                line
                for vhid in range(1, number + 1)
                for line in (
                    f"link add carp{vhid} type carp vhid {vhid} carpdev eth0 pass x advskew {skew}",
                    f"addr add 10.0.1.{vhid}/32 dev carp{vhid}",
                    f"link set carp{vhid} up",
                )
            )
        )
    time.sleep(5)
    assert states(lan.a) == {"master": number}
    assert states(lan.b) == {"backup": number}
    lan.hard_cut(lan.a)
    time.sleep(4)
    assert states(lan.b) == {"master": number}


def states(host: Host) -> dict[str, int]:
    """How many carp interfaces are in each state."""
    count: dict[str, int] = {}
    for link in host.ip_json("link", "show", "type", "carp"):
        state = link["linkinfo"]["info_data"]["state"]
        count[state] = count.get(state, 0) + 1
    return count
