# SPDX-License-Identifier: GPL-2.0
"""A parent that is deleted, and made anew under its name."""

from __future__ import annotations

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import VIP, Lan
from lib.process import Process

pytestmark = pytest.mark.usefixtures("carp")


def add_vlan(host: Host) -> None:
    host.ip_batch(
        "link add link eth0 name v7 type vlan id 7",
        f"addr add 10.0.7.{host.address.split('.')[-1]}/24 dev v7",
        "link set v7 up",
    )


def delete_vlan(host: Host) -> None:
    host.ip("link", "del", "v7")


def group(host: Host) -> str:
    return host.run("carpctl", "-g", "carp").stdout.splitlines()[0].split()[-1]


@pytest.fixture
def pair(lan: Lan) -> Lan:
    """carp0 on eth0 and carp1 on a VLAN; a is preferred."""
    add_vlan(lan.client)
    for host, skew in zip(lan.hosts[:2], (0, 100), strict=True):
        add_vlan(host)
        host.sysctl("net.inet.carp.preempt", 1)
        c.create(host, advskew=skew)
        c.create(host, advskew=skew, vhid=2, name="carp1", carpdev="v7", addresses=("10.0.7.1/24",))
    for name in ("carp0", "carp1"):
        c.wait_state(lan.a, "master", name=name)
        c.wait_state(lan.b, "backup", name=name)
    return lan


def shown(host: Host, name: str = "carp1") -> str:
    return host.ip("-d", "link", "show", "dev", name)


def test_both_are_handed_over_and_come_back(pair: Lan, log: Kmsg) -> None:
    monitor: Process = pair.a.spawn("carpctl", "monitor", "--json")
    delete_vlan(pair.a)
    for name in ("carp0", "carp1"):
        c.wait_state(pair.b, "master", 5, name=name)
    assert c.state(pair.a, "carp1") == "init"
    assert group(pair.a) == "1"
    assert "carpdev v7 (gone)" in shown(pair.a)
    info = c.info(pair.a, "carp1")
    assert (info["carpdev"], info["carpdev_gone"]) == ("v7", True)
    assert "carpdev v7 (gone)" in pair.a.run("carpctl", "carp1").stdout
    assert "2: carp: carp1: carpdev v7 is gone" in log.read()
    add_vlan(pair.a)
    for name in ("carp0", "carp1"):
        c.wait_state(pair.a, "master", 10, name=name)
        c.wait_state(pair.b, "backup", 2, name=name)
    assert group(pair.a) == "0"
    assert "(gone)" not in shown(pair.a)
    assert "2: carp: carp1: carpdev v7 is back" in log.read()
    pair.client.run("ping", "-c", "2", "-i", "0.1", "-W", "1", "10.0.7.1")
    wait_for(lambda: monitor.output().count('"event":"carpdev"') == 2, 2, "two events")


def test_another_device_of_that_name(pair: Lan) -> None:
    """By a new name it comes back as well; what cannot be a parent is waited past."""
    delete_vlan(pair.a)
    pair.a.ip("link", "add", "v7", "type", "dummy")
    pair.a.ip("link", "set", "v7", "arp", "off")
    pair.a.ip("link", "del", "v7")
    pair.a.ip("link", "add", "link", "eth0", "name", "other", "type", "vlan", "id", "7")
    assert "carpdev v7 (gone)" in shown(pair.a)
    pair.a.ip("link", "set", "other", "name", "v7")
    wait_for(lambda: "(gone)" not in shown(pair.a), 2, "it is taken")


def test_one_that_was_chosen_by_its_subnet(lan: Lan) -> None:
    add_vlan(lan.a)
    lan.a.ip_batch(
        "link add carp0 type carp vhid 1",
        "addr add 10.0.7.1/24 dev carp0",
        "link set carp0 up",
    )
    c.wait_state(lan.a, "master")
    delete_vlan(lan.a)
    assert c.state(lan.a) == "init"
    add_vlan(lan.a)
    c.wait_state(lan.a, "master", 10)
    assert c.info(lan.a)["carpdev"] == "v7"


def test_it_is_waited_for_no_more(pair: Lan) -> None:
    """With another carpdev, or none."""
    for words in ("carpdev none", "carpdev eth0"):
        pair.a.ip("link", "set", "carp1", "type", "carp", "carpdev", "v7")
        delete_vlan(pair.a)
        assert group(pair.a) == "1"
        pair.a.ip("link", "set", "carp1", "type", "carp", *words.split())
        assert group(pair.a) == "0"
        assert "gone" not in shown(pair.a)
        add_vlan(pair.a)
        wait_for(lambda: pair.a.link("v7").operstate == "up", 2, "the VLAN is there")
        assert "carpdev v7" not in shown(pair.a)


def test_a_container_gets_none_that_it_was_not_given(lan: Lan) -> None:
    """It was given a carp0 with its parent outside. When that is made anew, whoever
    administers the container could not have asked for it, so nobody does."""
    host = lan.a
    add_vlan(host)
    c.create(host, carpdev="v7", addresses=(), up=False)
    container = host.spawn("unshare", "--user", "--map-root-user", "--net", "sleep", "1000")

    def inside() -> bool:
        link = host.run("readlink", f"/proc/{container.pid}/ns/net", check=False).stdout
        return bool(link) and link != host.run("readlink", "/proc/self/ns/net").stdout

    wait_for(inside, 5, "the container is there")
    host.ip("link", "set", "carp0", "netns", str(container.pid))
    enter = ("nsenter", "--net", "--target", str(container.pid))
    host.run(*enter, "ip", "addr", "add", f"{VIP}/24", "dev", "carp0")
    host.run(*enter, "ip", "link", "set", "carp0", "up")

    def of_carp0() -> str:
        return host.run(*enter, "ip", "-d", "link", "show", "carp0").stdout

    wait_for(lambda: "MASTER" in of_carp0(), 10, "it is master")
    delete_vlan(host)
    assert "carpdev v7" in of_carp0() and "(gone)" in of_carp0()
    add_vlan(host)
    wait_for(lambda: host.link("v7").operstate == "up", 2, "the VLAN is there")
    assert "(gone)" in of_carp0() and "INIT" in of_carp0()
