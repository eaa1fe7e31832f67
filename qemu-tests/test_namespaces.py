# SPDX-License-Identifier: GPL-2.0
"""An interface and its parent in different network namespaces: as when a container
gets a virtual address of the machine's network.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.lan import VIP, VIP6, Lan
from lib.modules import insmod, rmmod
from lib.pinger import longest_gap, survived
from lib.process import run
from lib.rtnl import attribute
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

MIXED = (f"{VIP}/24", f"{VIP6}/64")
OTHER = "10.0.0.9"


@pytest.fixture
def inner(world: World) -> Iterator[Host]:
    """A container: a namespace with nothing but its loopback device, which may be gone
    by the end of the test."""
    own = World()
    try:
        yield own.host("inner")
    finally:
        if own.hosts:
            own.close()


def move(host: Host, inner: Host, *addresses: str, **options: object) -> None:
    """Makes carp0 on a host and gives it to the container, which sets it up."""
    c.create(host, addresses=(), up=False, **options)
    host.ip("link", "set", "carp0", "netns", inner.name)
    settle(inner, *addresses)


def settle(inner: Host, *addresses: str) -> None:
    inner.ip_batch(
        *(f"addr add {address} dev carp0" for address in addresses or MIXED),
        "link set carp0 up",
    )


def ping(host: Host, address: str) -> None:
    host.run("ping", "-c", "2", "-i", "0.1", "-W", "1", address)


# -- traffic


def test_it_elects_and_answers(lan: Lan, inner: Host) -> None:
    """Both families, in both directions, over a takeover and back."""
    move(lan.a, inner, advskew=0)
    c.create(lan.b, advskew=100, addresses=MIXED)
    lan.b.sysctl("net.inet.carp.preempt", 0)
    c.wait_state(inner, "master")
    c.wait_state(lan.b, "backup")
    time.sleep(4)
    assert (c.state(inner), c.state(lan.b)) == ("master", "backup")
    capture = lan.client.capture(only="arp or icmp6 and (ip6[40] = 135 or ip6[40] = 136)")
    for address in (VIP, VIP6):
        ping(lan.client, address)
    for address in (lan.client.address, lan.client.address6):
        ping(inner, address)
    mac = c.virtual_mac(1)
    told = [p for p in capture.packets() if p.data[6:12] != bytes.fromhex("020000000064")]
    assert told and {p.data[6:12] for p in told} == {mac}, "all in the virtual MAC's name"
    # it counts what comes to the virtual MAC
    received = inner.show("carp0")["stats64"]["rx"]["packets"]
    assert received >= 8
    # away, and back
    pinger = lan.client.ping(VIP)
    pinger6 = lan.client.ping(VIP6)
    time.sleep(0.1)
    inner.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)
    time.sleep(0.2)
    inner.ip("link", "set", "carp0", "up")
    c.wait_state(inner, "backup")
    lan.b.ip("link", "set", "carp0", "type", "carp", "advskew", "200")
    lan.b.ip("link", "set", "carp0", "down")
    c.wait_state(inner, "master", 5)
    time.sleep(0.2)
    for pings in (pinger.stop(), pinger6.stop()):
        assert survived(pings), longest_gap(pings)


@pytest.mark.parametrize("own", [True, False], ids=["", "no-parent-address"])
def test_made_in_another_namespace(lan: Lan, inner: Host, own: bool) -> None:
    """carpdev is one of where it was asked for; shown is where that is. A client that
    was never heard is found, one that asks gets an answer, by unicast too."""
    if not own:
        lan.a.ip("addr", "flush", "dev", "eth0")
    lan.a.ip(
        *f"link add carp0 netns {inner.name} type carp vhid 1 carpdev eth0 pass {c.PASS}".split()
    )
    settle(inner)
    c.wait_state(inner, "master")
    for address in (lan.client.address, lan.client.address6):
        ping(inner, address)
    lan.client.ip("neigh", "flush", "all")
    for address in (VIP, VIP6):
        ping(lan.client, address)
    shown = inner.show("carp0")
    data = shown["linkinfo"]["info_data"]
    assert data["carpdev_netnsid"] == shown["link_netnsid"] == 0
    assert data["carpdev"] == f"if{lan.a.link('eth0').index}"
    # a question by unicast, as who has an old answer asks
    assert answer_to_unicast(lan) == c.virtual_mac(1)


def answer_to_unicast(lan: Lan) -> bytes:
    """The MAC in the answer to an ARP request for the virtual MAC."""
    capture = lan.client.capture(only="arp[6:2] = 2")
    mac = bytes.fromhex("020000000064")
    lan.client.send_frame(c.arp(VIP, sender=lan.client.address, mac=mac, to=c.virtual_mac(1)))
    time.sleep(0.05)
    [answer] = capture.received()
    return answer.data[22:28]


def test_the_parents_namespace_does_not_answer(lan: Lan, inner: Host) -> None:
    """It has the address no more than any router has; and it is the master alone who
    answers."""
    move(lan.a, inner)
    inner.ip("link", "set", "carp0", "type", "carp", "advbase", "250")
    inner.ip_batch("link set carp0 down", "link set carp0 up")
    assert c.state(inner) == "backup"
    capture = lan.client.capture(only="arp[6:2] = 2 or icmp6 and ip6[40] = 136")
    for address in (VIP, VIP6):
        assert lan.client.run("ping", "-c1", "-W1", address, check=False).returncode
    assert not capture.packets()


# -- whose settings


def test_sysctls_are_those_of_the_interface(lan: Lan, inner: Host) -> None:
    """allow and preempt, though advertisements come in where the parent is."""
    move(lan.a, inner, f"{VIP}/24", advskew=50)
    c.wait_state(inner, "master")
    inner.sysctl("net.inet.carp.allow", 0)
    before = c.stats(inner)["rx_not_allowed"]
    better = c.Advertisement(advskew=0).frame()
    lan.client.send_frame(better)
    time.sleep(0.02)
    assert c.state(inner) == "master"
    assert c.stats(inner)["rx_not_allowed"] == before + 1
    inner.sysctl("net.inet.carp.allow", 1)
    lan.a.sysctl("net.inet.carp.allow", 0)
    lan.client.send_frame(better)
    time.sleep(0.02)
    assert c.state(inner) == "backup"
    worse = c.Advertisement(advskew=100).frame()
    lan.a.sysctl("net.inet.carp.preempt", 1)
    lan.client.send_frame(worse)
    time.sleep(0.02)
    assert c.state(inner) == "backup"
    inner.sysctl("net.inet.carp.preempt", 1)
    lan.client.send_frame(worse)
    time.sleep(0.02)
    assert c.state(inner) == "master"


def demotion(host: Host, name: str) -> int:
    return c.info(host, name)["demote"]


def test_groups_move_along(lan: Lan, inner: Host) -> None:
    """With what the interface itself had brought upon them; what the administrator of
    the old namespace added stays there."""
    for name, vhid in (("carp0", 1), ("carp1", 2)):
        c.create(lan.a, "group wan", vhid=vhid, name=name, addresses=(), up=False)
    inner.ip("link", "add", "carp7", "type", "carp", "group", "wan")
    lan.a.ip("link", "add", "carp8", "type", "carp", "group", "wan")
    lan.cable_pull(lan.a)
    wait_for(lambda: demotion(lan.a, "carp8") == 4, 2, "two groups, two interfaces")
    lan.a.ip("link", "set", "carp0", "netns", inner.name)
    assert c.info(inner, "carp0")["groups"] == ["carp", "wan"]
    assert (demotion(lan.a, "carp8"), demotion(inner, "carp7")) == (2, 2)
    lan.cable_plug(lan.a)
    wait_for(lambda: demotion(inner, "carp7") == 0, 5, "the parent is back")
    assert demotion(lan.a, "carp8") == 0
    inner.ip("link", "set", "carp0", "netns", "a")
    assert c.info(lan.a, "carp0")["groups"] == ["carp", "wan"]
    lan.cable_pull(lan.a)
    wait_for(lambda: demotion(lan.a, "carp8") == 4, 2, "as if it had never been away")
    assert demotion(inner, "carp7") == 0


# -- moving


def test_a_master_that_moves(lan: Lan, inner: Host) -> None:
    """It says farewell, loses its addresses as any device does, and is silent about
    IPv6 over there, too; and back."""
    c.create_pair(lan, addresses=MIXED)
    capture = lan.client.capture(only="ip proto 112")
    lan.a.ip("link", "set", "carp0", "netns", inner.name)
    assert c.heard(capture.packets())[-1].is_bow_out or c.state(lan.b) == "master"
    c.wait_state(lan.b, "master", 1)
    assert c.state(inner) == "init"
    settle(inner)
    c.wait_state(inner, "backup")
    time.sleep(3)
    [link] = inner.ip_json("-6", "addr", "show", "dev", "carp0")
    assert [it["local"] for it in link["addr_info"]] == [VIP6], "and none made up"
    inner.ip("link", "set", "carp0", "netns", "a")
    settle(lan.a)
    lan.b.ip("link", "set", "carp0", "down")
    c.wait_state(lan.a, "master", 5)
    ping(lan.client, VIP)
    ping(lan.client, VIP6)


def test_a_new_carpdev_is_one_of_the_parents_namespace(lan: Lan, inner: Host) -> None:
    """As its index is shown. Without a parent it is one of the interface's own."""
    lan.a.ip("link", "add", "eth1", "arp", "on", "type", "dummy")
    move(lan.a, inner, f"{VIP}/24")
    index = lan.a.link("eth1").index
    inner.rtnl.change_link("carp0", "carp", carpdev(index))
    assert c.info(inner)["carpdev"] == f"if{index}"
    inner.ip(*"link set carp0 type carp carpdev none".split())
    assert "carpdev" not in c.info(inner)
    inner.ip("link", "add", "eth1", "arp", "on", "type", "dummy")
    inner.ip("link", "set", "eth1", "up")
    inner.ip(*"link set carp0 type carp carpdev eth1".split())
    assert c.info(inner)["carpdev"] == "eth1"
    assert "carpdev_netnsid" not in c.info(inner)
    c.wait_state(inner, "master")


def carpdev(index: int) -> bytes:
    """IFLA_CARP_CARPDEV"""
    return attribute(2, index.to_bytes(4, "little"))


def test_who_may_change_carpdev(lan: Lan) -> None:
    """Who administers the interface's namespace alone may not take another parent of a
    namespace that is not theirs; all else they may."""
    lan.a.ip("link", "add", "eth1", "arp", "on", "type", "dummy")
    c.create(lan.a, addresses=(), up=False)
    index = lan.a.link("eth1").index
    stranger = lan.a.spawn("unshare", "--user", "--map-root-user", "--net", "sleep", "1000")
    wait_for(lambda: is_stranger(stranger.pid), 5, "it is in a namespace of its own")
    lan.a.ip("link", "set", "carp0", "netns", str(stranger.pid))
    enter = ("nsenter", "-t", str(stranger.pid), "-U", "-n", "--preserve-credentials")
    run((*enter, "ip", "link", "set", "carp0", "type", "carp", "advskew", "7"))
    # an index that is one of both, so that ip(8) has a name for it
    run(
        (*enter, "ip", "link", "add", "x", "index", str(index), "type", "dummy"),
        check=False,
    )
    done = run(
        (*enter, "ip", "link", "set", "carp0", "type", "carp", "carpdev", "x"),
        check=False,
    )
    assert done.returncode
    assert "its network namespace is not yours to administer" in done.stderr, done.stderr
    run((*enter, "ip", "link", "set", "carp0", "type", "carp", "carpdev", "none"))
    stranger.kill()


def is_stranger(pid: int) -> bool:
    own = os.stat("/proc/self/ns/user").st_ino
    with open(f"/proc/{pid}/uid_map") as f:
        return os.stat(f"/proc/{pid}/ns/user").st_ino != own and bool(f.read())


# -- the end


@pytest.mark.parametrize("who", ["the interface's", "the parent's", "both"])
def test_a_namespace_that_dies(lan: Lan, world: World, who: str) -> None:
    """With a master in it, traffic flowing. What stays behind can be used again."""
    outer_world, inner_world = World(), World()
    outer, inner = outer_world.host("outer"), inner_world.host("inner")
    try:
        world.cable(lan.switch, "outer", outer, "eth0")
        lan.switch.ip("link", "set", "outer", "master", "br0", "up")
        outer.ip_batch("link set eth0 up", "addr add 10.0.0.50/24 dev eth0")
        move(outer, inner)
        c.create(outer, vhid=2, name="carp1", addresses=("10.0.0.8/24",))
        c.wait_state(inner, "master")
        pinger = lan.client.ping(VIP, 0.005)
        if who != "the interface's":
            outer_world.close()
            outer_world.hosts.clear()
        if who == "the parent's":
            assert c.state(inner) == "init"
            assert c.info(inner)["carpdev_gone"]
            assert demotion(inner, "carp0") == 1
        if who != "the parent's":
            inner_world.close()
            inner_world.hosts.clear()
        if who == "the interface's":
            c.create(outer, addresses=(f"{OTHER}/24",))
            c.wait_state(outer, "master")
            ping(lan.client, OTHER)
        pinger.stop()
    finally:
        outer_world.close()
        inner_world.close()


@pytest.mark.parametrize("first", ["the parent", "the interface"])
def test_a_parent_that_goes(lan: Lan, inner: Host, first: str) -> None:
    """Deleted, or moved away itself."""
    move(lan.a, inner)
    c.wait_state(inner, "master")
    if first == "the parent":
        lan.a.ip("link", "set", "eth0", "netns", inner.name)
        assert c.state(inner) == "init"
        assert c.info(inner)["carpdev_gone"]
        inner.ip_batch(
            "link set eth0 up",
            "addr add 10.0.0.2/24 dev eth0",
            "link set carp0 type carp carpdev eth0",
        )
        c.wait_state(inner, "master", 5)
        ping(lan.client, VIP)
    else:
        inner.ip("link", "del", "carp0")
        c.create(lan.a)
        c.wait_state(lan.a, "master", 5)
        ping(lan.client, VIP)


def test_rmmod(lan: Lan, inner: Host) -> None:
    """With a master in a namespace of its own, under traffic."""
    move(lan.a, inner)
    c.wait_state(inner, "master")
    pinger = lan.client.ping(VIP, 0.005)
    try:
        rmmod("carp")
        assert "carp0" not in [link["ifname"] for link in inner.ip_json("link")]
        assert lan.a.show("eth0")["promiscuity"] == 0
    finally:
        insmod("carp")
        pinger.stop()
