# SPDX-License-Identifier: GPL-2.0
"""With systemd-udevd running, as on users' machines: it renames interfaces and gives
them MACs of its own, unless the driver says that they have one."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.lan import Lan
from lib.modules import insmod, rmmod
from lib.process import Process, run
from lib.uevents import Uevents
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

UDEVD = "/usr/lib/systemd/systemd-udevd"
NET = Path("/sys/class/net")


def ip(*words: str) -> str:
    """ip(8) in the guest's own namespace, the only one that udevd looks after."""
    return run(("ip", *words)).stdout


def settle() -> None:
    run(("udevadm", "settle", "--timeout=30"))


def mac(device: str) -> str:
    return (NET / device / "address").read_text().strip()


# what addr_assign_type says of a MAC
RANDOM, SET = "1", "3"


@pytest.fixture
def udevd(world: World, carp: None) -> Iterator[Process]:
    """systemd-udevd; interfaces that a test leaves are taken away after it."""
    before = set(os.listdir(NET))
    # what udevd makes MACs from
    Path("/etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    os.makedirs("/run/udev", exist_ok=True)
    process = world.spawn(UDEVD)
    for _ in range(100):
        if Path("/run/udev/control").exists():
            break
        assert process.running(), f"udevd ended: {process.output()}"
        time.sleep(0.1)
    settle()
    yield process
    for device in set(os.listdir(NET)) - before:
        run(("ip", "link", "del", device), check=False)
    settle()


def test_the_default_policy_is_there() -> None:
    """It is what the next test is about."""
    link = Path("/usr/lib/systemd/network/99-default.link").read_text()
    assert re.search(r"^MACAddressPolicy=persistent$", link, re.MULTILINE)
    assert not list(Path("/etc/systemd").glob("network/*.link")), "nothing overrides it"


def test_the_virtual_mac_stays(udevd: Process, world: World) -> None:
    """A bridge beside it gets the MAC that udevd thinks right, and one where udevd
    does not look keeps its random one: the test could fail."""
    elsewhere = world.host("elsewhere")
    elsewhere.ip("link", "add", "control0", "type", "bridge")
    ip("link", "add", "parent0", "arp", "on", "type", "dummy")
    ip("link", "set", "parent0", "up")
    ip("link", "add", "carp0", "type", "carp", "vhid", "7", "carpdev", "parent0")
    ip("link", "add", "control0", "type", "bridge")
    settle()
    file = NET / "control0" / "addr_assign_type"
    assert elsewhere.run_with_sysfs("cat", str(file)).stdout.strip() == RANDOM
    assert file.read_text().strip() == SET, f"udevd is idle: {udevd.output()}"
    assert mac("carp0") == "00:00:5e:00:01:07"
    ip("link", "set", "carp0", "type", "carp", "vhid", "8")
    ip("link", "set", "carp0", "up")
    settle()
    assert mac("carp0") == "00:00:5e:00:01:08"
    # without vhid at first, as OpenBSD users do it
    ip("link", "add", "carp1", "type", "carp")
    settle()
    ip("link", "set", "carp1", "type", "carp", "vhid", "9", "carpdev", "parent0")
    settle()
    assert mac("carp1") == "00:00:5e:00:01:09"
    assert {"carp0", "carp1"} <= set(os.listdir(NET)), "the names are the user's"


def test_udev_hears_of_interfaces(udevd: Process, world: World) -> None:
    """add when one is made, remove when it goes, in the kernel's and udevd's words."""
    monitor = world.spawn("udevadm", "monitor", "--kernel", "--udev", "-s", "net")
    monitor.wait_output("KERNEL - the kernel uevent", 5)
    time.sleep(0.2)
    ip("link", "add", "carp0", "type", "carp", "vhid", "1")
    settle()
    ip("link", "del", "carp0")
    settle()
    time.sleep(0.2)
    output = monitor.stop()
    for who in ("KERNEL", "UDEV"):
        for action in ("add", "remove"):
            assert re.search(
                rf"^{who}\s*\[[\d.]+\] {action}\s+/devices/virtual/net/carp0 \(net\)$",
                output,
                re.MULTILINE,
            ), f"{who} {action} in {output}"


def test_rmmod_tells_udev(udevd: Process, world: World) -> None:
    """An interface that goes with the module goes for everybody."""
    ip("link", "add", "carp0", "type", "carp", "vhid", "1")
    settle()
    monitor = world.spawn("udevadm", "monitor", "--udev", "-s", "net")
    monitor.wait_output("UDEV - the event", 5)
    rmmod("carp")
    try:
        settle()
        monitor.wait_output("remove", 5)
    finally:
        insmod("carp")
    assert not (NET / "carp0").exists()


# -- states


@pytest.fixture
def uevents(lan: Lan) -> Iterator[Uevents]:
    """What udev would hear on host a."""
    uevents = Uevents(lan.a)
    yield uevents
    uevents.close()


def test_a_change_of_state_is_a_uevent(lan: Lan, uevents: Uevents) -> None:
    c.create(lan.a, vhid=7)
    assert uevents.of_states(2) == [("carp0", "7", "BACKUP"), ("carp0", "7", "MASTER")]
    lan.a.ip("link", "set", "carp0", "down")
    assert uevents.of_states(1) == [("carp0", "7", "INIT")]


def test_a_state_that_passed_is_not_told(lan: Lan, uevents: Uevents) -> None:
    """What changes while RTNL is busy is told once, as it is then."""
    c.create(lan.a)
    uevents.of_states(2)
    lan.a.ip_batch(*["link set carp0 down", "link set carp0 up"] * 20)
    c.wait_state(lan.a, "master")
    time.sleep(0.2)
    told = uevents.of_states(1)
    assert told[-1] == ("carp0", "1", "MASTER")
    assert len(told) <= 42


def test_one_of_several_virtual_hosts(lan: Lan, uevents: Uevents) -> None:
    """The interface stays MASTER, so operstate does not change; yet it is told."""
    nodes = "carpnodes 1:0,2:100 balancing ip-stealth"
    create = "link add carp0 type carp carpdev eth0 pass secret "
    up = ("addr add 10.0.0.1/24 dev carp0", "link set carp0 up")
    lan.a.ip_batch(create + nodes, *up)
    told = uevents.of_states(4)
    assert sorted(told[-2:]) == [("carp0", "1", "MASTER"), ("carp0", "2", "MASTER")]
    monitor = lan.a.spawn("ip", "-d", "monitor", "link", "dev", "carp0")
    time.sleep(1)
    before = monitor.output()
    lan.b.sysctl("net.inet.carp.preempt", 1)
    lan.b.ip_batch(create + nodes.replace("1:0,2:100", "1:100,2:0"), *up)
    assert uevents.of_states(1) == [("carp0", "2", "BACKUP")]
    assert lan.a.link("carp0").operstate == "up"
    wait_for(lambda: len(monitor.output()) > len(before), 2, "RTM_NEWLINK")
    time.sleep(0.2)
    news = monitor.output()[len(before) :]
    assert news.count("carp state MASTER") == 1, "told once"


def test_uevents_stay_in_their_namespace(lan: Lan, uevents: Uevents) -> None:
    c.create(lan.b)
    c.wait_state(lan.b, "master")
    time.sleep(0.2)
    assert uevents.read() == []


def test_the_type_is_carp(lan: Lan) -> None:
    c.create(lan.a)
    shown = lan.a.run_with_sysfs("cat", "/sys/class/net/carp0/uevent").stdout
    assert "DEVTYPE=carp" in shown.split()


def test_a_rule_runs_a_program(udevd: Process, tmp_path: Path) -> None:
    """What an administrator writes to be called when this host takes over; and udevd
    changes nothing about the interface when it hears of it."""
    rules = Path("/run/udev/rules.d")
    rules.mkdir(exist_ok=True)
    heard = tmp_path / "heard"
    rule = rules / "90-carp.rules"
    rule.write_text(
        'ACTION=="change", SUBSYSTEM=="net", ENV{DEVTYPE}=="carp", ENV{CARP_STATE}=="MASTER", '
        f"RUN+=\"/bin/sh -c 'echo $env{{INTERFACE}} $env{{CARP_VHID}} >> {heard}'\"\n"
    )
    try:
        run(("udevadm", "control", "--reload"))
        ip("link", "add", "parent0", "arp", "on", "type", "dummy")
        ip("link", "set", "parent0", "up")
        ip(*"link add carp0 type carp vhid 7 carpdev parent0 advskew 1".split())
        ip(*"addr add 10.9.9.1/24 dev carp0".split())
        ip("link", "set", "carp0", "up")
        wait_for(heard.exists, 20, "the rule's program ran")
        settle()
        assert heard.read_text().split() == ["carp0", "7"]
        assert mac("carp0") == "00:00:5e:00:01:07"
    finally:
        rule.unlink()
