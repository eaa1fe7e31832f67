# SPDX-License-Identifier: GPL-2.0
"""Interfaces, their parents, addresses and namespaces that come and go."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lib import carp as c
from lib import kernel
from lib.clock import SECOND, wait_for
from lib.host import Host
from lib.lan import VIP, VIP6, Lan
from lib.modules import file, is_loaded, rmmod
from lib.process import run
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

SECOND_VIP = "10.0.0.9"


def operstate(host: Host, wanted: str, timeout: float = 3) -> None:
    wait_for(
        lambda: host.link("carp0").operstate == wanted, timeout, f"carp0 on {host} is {wanted}"
    )


def has_group(host: Host, device: str = "eth0") -> bool:
    """Whether a device is a member of 224.0.0.18."""
    return c.GROUP in host.groups(device)


def promiscuity(host: Host, device: str = "eth0") -> int:
    return host.show(device)["promiscuity"]


# -- the module


def test_the_module_needs_no_other() -> None:
    """And nobody holds it while there is no interface."""
    for line in Path("/proc/modules").read_text().splitlines():
        name, _, used, needs, state, *_ = line.split()
        if name == "carp":
            assert (used, state) == ("0", "Live")
        assert "carp" not in needs.split(","), f"carp needs {name}"
    assert run(("modinfo", "-F", "depends", file("carp"))).stdout.strip() == ""


def test_ip_loads_the_module_by_itself(world: World) -> None:
    """Installed where modules are looked for, it comes with the first interface."""
    host = world.host("a")
    rmmod("carp")
    folder = Path("/lib/modules", os.uname().release, "extra")
    folder.mkdir(parents=True)
    try:
        (folder / "carp.ko").symlink_to(file("carp"))
        run(("depmod", "-a"))
        host.ip("link", "add", "carp0", "type", "carp")
        assert is_loaded("carp")
    finally:
        (folder / "carp.ko").unlink()
        folder.rmdir()
        run(("depmod", "-a"))
        # loaded for whoever unloads it
        run(("insmod", file("carp")), check=False)


# -- the parent


def test_a_parent_without_link(lan: Lan) -> None:
    """INIT and lowerlayerdown at once; when it is back BACKUP, then master."""
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    lan.cable_pull(lan.a)
    c.wait_state(lan.a, "init", 2)
    operstate(lan.a, "lowerlayerdown")
    seen = []
    lan.switch.ip("link", "set", "dev", "a", "up")
    wait_for(lambda: seen.append(c.state(lan.a)) or seen[-1] == "master", 10, "master again")
    assert list(dict.fromkeys(seen)) == ["backup", "master"]
    operstate(lan.a, "up")


def test_a_pulled_cable_hands_over(lan: Lan) -> None:
    """The other host takes over when it misses the master, and keeps what it has."""
    c.create_pair(lan)
    lan.cable_pull(lan.a)
    c.wait_state(lan.b, "master", 4)
    lan.cable_plug(lan.a)
    time.sleep(5)
    assert (c.state(lan.a), c.state(lan.b)) == ("backup", "master")


def test_a_parent_set_down_and_up(lan: Lan) -> None:
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    for _ in range(2):
        lan.a.ip("link", "set", "eth0", "down")
        assert c.state(lan.a) == "init"
        operstate(lan.a, "lowerlayerdown")
        lan.a.ip("link", "set", "eth0", "up")
        wait_for(lambda: c.state(lan.a) == "backup", 2, "BACKUP first")
        operstate(lan.a, "dormant")
        c.wait_state(lan.a, "master")


def test_a_parent_that_is_told_goes_down_lets_the_master_bow_out(lan: Lan) -> None:
    """As long as the parent still sends, nobody needs to wait for a timeout."""
    c.create_pair(lan)
    capture = lan.client.capture(only="ip proto 112")
    lan.a.ip("link", "set", "eth0", "down")
    wait_for(lambda: c.state(lan.b) == "master", 1, "b takes over at once")
    farewell, first, *_ = c.heard(capture.packets())
    assert farewell.is_bow_out and not first.is_bow_out


@pytest.mark.parametrize("vhid", [True, False], ids=["vhid", "no vhid"])
def test_a_parent_that_is_unregistered(lan: Lan, vhid: bool) -> None:
    """The interface stays, INIT and without a parent, and takes a new one."""
    if vhid:
        c.create(lan.a)
        c.wait_state(lan.a, "master")
    else:
        lan.a.ip_batch(
            "link add carp0 type carp carpdev eth0",
            f"addr add {VIP}/24 dev carp0",
            "link set carp0 up",
        )
    lan.a.ip("link", "del", "eth0")
    assert c.state(lan.a) == "init"
    assert c.info(lan.a)["carpdev_gone"]
    assert "link" not in lan.a.show("carp0")
    operstate(lan.a, "down")
    lan.a.ip_batch(
        "link add eth0 arp on type dummy",
        "link set eth0 up",
        "link set carp0 type carp carpdev eth0 vhid 1",
    )
    assert c.state(lan.a) == "backup"
    c.wait_state(lan.a, "master")


def test_a_parent_moved_to_another_namespace(lan: Lan) -> None:
    """It leaves the interface behind, and is an ordinary device over there."""
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    lan.a.ip("link", "set", "eth0", "netns", "b", "name", "eth7")
    assert c.state(lan.a) == "init"
    assert c.info(lan.a)["carpdev_gone"]
    lan.b.ip_batch(
        "link set eth7 up",
        "link add br7 type bridge",
        "link set eth7 master br7",
    )
    assert promiscuity(lan.b, "eth7") == 1, "the bridge's own, and no other"
    assert not has_group(lan.b, "eth7")


def test_parents_and_interfaces_know_of_each_other(lan: Lan) -> None:
    """As the links upper_* and lower_* of sysfs."""
    c.create(lan.a)
    ls = lan.a.run_with_sysfs("ls", "/sys/class/net/eth0", "/sys/class/net/carp0").stdout.split()
    assert "upper_carp0" in ls and "lower_eth0" in ls
    iflink = lan.a.run_with_sysfs("cat", "/sys/class/net/carp0/iflink").stdout
    assert int(iflink) == lan.a.link("eth0").index
    lan.a.ip(*"link set carp0 type carp carpdev none".split())
    assert "upper_carp0" not in lan.a.run_with_sysfs("ls", "/sys/class/net/eth0").stdout


# -- what the parent receives


def test_the_receive_filter_lasts_while_the_interface_is_up(lan: Lan) -> None:
    """veth has no filter for unicast and turns promiscuous instead."""
    assert promiscuity(lan.a) == 0
    c.create(lan.a, up=False)
    assert promiscuity(lan.a) == 0
    for _ in range(2):
        lan.a.ip("link", "set", "carp0", "up")
        assert promiscuity(lan.a) == 1
        lan.a.ip("link", "set", "carp0", "down")
        assert promiscuity(lan.a) == 0
    lan.a.ip("link", "set", "carp0", "up")
    lan.a.ip("link", "del", "carp0")
    assert promiscuity(lan.a) == 0


def test_the_parent_is_in_the_group_before_a_takeover(lan: Lan) -> None:
    """Switches that snoop must know; after the last interface has gone it is not."""
    capture = lan.client.capture(only="igmp")
    assert not has_group(lan.a)
    c.create(lan.a, up=False)
    c.create(lan.a, vhid=2, name="carp1", addresses=(), up=False)
    assert has_group(lan.a)
    time.sleep(2)
    reports = [p for p in capture.packets() if bytes([224, 0, 0, 18]) in p.data]
    assert reports, "the group is reported to switches"
    assert {p.data[6:12].hex(":") for p in reports} == {lan.a.mac}
    lan.a.ip("link", "del", "carp0")
    assert has_group(lan.a)
    lan.a.ip(*"link set carp1 type carp carpdev none".split())
    assert not has_group(lan.a)


# -- addresses


def test_an_address_added_while_master(lan: Lan) -> None:
    """It is announced. For a minute the hosts believe each other's old lists; if they
    still differ then, both are master, until the peer has the address too."""
    c.create_pair(lan)
    capture = lan.client.capture(only="arp")
    lan.a.ip("addr", "add", f"{SECOND_VIP}/24", "dev", "carp0")
    time.sleep(0.1)
    vip = bytes([10, 0, 0, 9])
    announced = [p for p in capture.packets() if p.data[28:32] == vip == p.data[38:42]]
    assert announced and announced[0].data[22:28] == c.virtual_mac(1)
    time.sleep(55)
    assert c.state(lan.b) == "backup"
    c.wait_state(lan.b, "master")
    assert c.state(lan.a) == "master", "two masters with two lists: the protocol's nature"
    assert c.stats(lan.b)["rx_bad_auth"] > 0
    lan.b.ip("addr", "add", f"{SECOND_VIP}/24", "dev", "carp0")
    c.wait_state(lan.b, "backup", 3)
    lan.client.run("ping", "-c", "1", "-W", "1", SECOND_VIP)
    assert c.state(lan.a) == "master"


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_an_address_removed_while_running(lan: Lan, order: tuple[str, ...]) -> None:
    """Once both lists are the same again, there is one master again."""
    c.create_pair(lan, addresses=(f"{VIP}/24", f"{SECOND_VIP}/24"))
    for name in order:
        host = lan.a if name == "a" else lan.b
        host.ip("addr", "del", f"{SECOND_VIP}/24", "dev", "carp0")
        time.sleep(1)
    time.sleep(3)
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")


@pytest.mark.parametrize("last", ["down", "del"])
def test_an_interface_goes_down_as_it_came_up(lan: Lan, last: str) -> None:
    """ifup adds the second address to a running interface, ifdown takes all of a family
    away before it sets the interface down, and a moment lies between: by then b's list is
    neither the first nor the last that a had. The farewell reaches b."""
    addresses = (f"{VIP}/24", f"{SECOND_VIP}/24", f"{VIP6}/64")
    c.create(lan.b, advskew=100, addresses=addresses)
    c.wait_state(lan.b, "master")
    c.create(lan.a)
    lan.a.ip_batch(*(f"addr add {address} dev carp0" for address in addresses[1:]))
    lan.a.ip(*"link set carp0 type carp state master".split())
    time.sleep(8)
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    lan.a.ip(*"-4 addr flush dev carp0".split())
    time.sleep(0.2)
    assert c.state(lan.b) == "backup"
    lan.a.ip("link", *(("set", "carp0", "down") if last == "down" else ("del", "carp0")))
    c.wait_state(lan.b, "master", 0.5)


def test_an_address_that_is_there_twice_counts_once(lan: Lan) -> None:
    """With two prefix lengths it is one address to the digest."""
    c.create(lan.a)
    c.create(lan.b, advskew=100, addresses=(f"{VIP}/24", f"{VIP}/32"))
    c.wait_state(lan.a, "master")
    time.sleep(5)
    assert c.state(lan.b) == "backup"
    lan.b.ip("addr", "del", f"{VIP}/32", "dev", "carp0")
    time.sleep(5)
    assert c.state(lan.b) == "backup"


def test_the_last_address_removed_and_the_first_added(lan: Lan) -> None:
    """INIT, after a farewell; BACKUP."""
    c.create_pair(lan, addresses=(f"{VIP}/24", f"{SECOND_VIP}/24"))
    lan.b.ip("addr", "flush", "dev", "carp0")
    assert c.state(lan.b) == "init"
    capture = lan.client.capture(only="ip proto 112")
    lan.a.ip("addr", "del", f"{VIP}/24", "dev", "carp0")
    lan.a.ip("addr", "flush", "dev", "carp0")
    assert c.state(lan.a) == "init"
    assert c.heard(capture.packets())[-1].is_bow_out
    lan.a.ip("addr", "add", f"{VIP}/24", "dev", "carp0")
    assert c.state(lan.a) == "backup"
    c.wait_state(lan.a, "master")


# -- the interface


def test_a_master_that_is_deleted_bows_out(lan: Lan) -> None:
    c.create_pair(lan)
    capture = lan.client.capture(only="ip proto 112")
    lan.a.ip("link", "del", "carp0")
    wait_for(lambda: c.state(lan.b) == "master", 1, "b takes over at once")
    farewell, first, *_ = c.heard(capture.packets())
    assert farewell.is_bow_out and not first.is_bow_out
    lan.client.run("ping", "-c", "1", "-W", "1", VIP)


def test_a_namespace_that_dies_with_a_master(lan: Lan, world: World) -> None:
    """Several interfaces, one parent; what the kernel has to say comes by itself."""
    inner = World()
    host = inner.host("inner")
    try:
        world.cable(lan.switch, "inner", host, "eth0")
        lan.switch.ip("link", "set", "inner", "master", "br0", "up")
        host.ip_batch("link set eth0 up", "addr add 10.0.0.50/24 dev eth0")
        c.create(host)
        c.create(host, vhid=2, name="carp1", addresses=("10.0.0.8/24",), advskew=1)
        c.create(lan.b, advskew=100)
        c.wait_state(host, "master")
        c.wait_state(host, "master", name="carp1")
        assert c.state(lan.b) == "backup"
    finally:
        inner.close()
    c.wait_state(lan.b, "master")
    assert "inner" not in [link["ifname"] for link in lan.switch.ip_json("link")]


def test_a_renamed_interface(lan: Lan) -> None:
    """Names are the user's; the election does not care."""
    c.create_pair(lan)
    lan.a.ip("link", "set", "carp0", "name", "shared")
    lan.a.ip("link", "set", "eth0", "name", "lan0")
    time.sleep(4)
    assert c.state(lan.a, "shared") == "master"
    assert c.info(lan.a, "shared")["carpdev"] == "lan0"
    assert c.state(lan.b) == "backup"


def test_all_vhids_on_one_parent(lan: Lan, figure: Callable[[str, float, str], None]) -> None:
    """255 interfaces, each master of its address; there is no 256th. They come in
    linear time and go with their parent."""
    times = []
    for first in (1, 129):
        start = time.monotonic()
        lan.a.ip_batch(
            *(
                line
                for vhid in range(first, min(first + 128, 256))
                for line in (
                    f"link add carp{vhid} type carp vhid {vhid} carpdev eth0 pass x",
                    f"addr add 10.0.1.{vhid}/32 dev carp{vhid}",
                    f"link set carp{vhid} up",
                )
            )
        )
        times.append(time.monotonic() - start)
    figure("255 vhids: the second half took, of the first", times[1] / times[0], "times")
    assert times[1] < 1.5 * times[0]
    for vhid in (1, 77, 255):
        c.wait_state(lan.a, "master", name=f"carp{vhid}")
    capture = lan.client.capture(only="ip proto 112")
    time.sleep(2)
    spoken = c.heard(capture.packets())
    assert {packet.vhid for packet in spoken} == set(range(1, 256))
    assert spoken[-1].time - spoken[0].time < 2 * SECOND + kernel.work(SECOND / 100)
    assert promiscuity(lan.a) == 1
    lan.client.ip("route", "add", "10.0.1.0/24", "dev", "eth0")
    lan.client.run("ping", "-c", "1", "-W", "1", "10.0.1.200")
    lan.a.ip("link", "del", "eth0")
    for vhid in (1, 77, 255):
        assert c.state(lan.a, f"carp{vhid}") == "init"
