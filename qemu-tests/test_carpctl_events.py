# SPDX-License-Identifier: GPL-2.0
"""carpctl status, monitor and stats: what it asks of the generic netlink family."""

from __future__ import annotations

import json
import time

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.lan import Lan
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")


@pytest.fixture
def host(world: World) -> Host:
    """A host with one Ethernet interface that is connected to nothing."""
    host = world.host("a")
    host.ip_batch("link add eth0 arp on type dummy", "link set eth0 up")
    return host


def carpctl(host: Host, line: str) -> str:
    return host.run("carpctl", *line.split()).stdout


def test_status(host: Host) -> None:
    c.create(host, vhid=7, advskew=30)
    c.create(host, name="carp1", vhid=9, addresses=(), up=False)
    c.wait_state(host, "master")
    told = json.loads(carpctl(host, "status --json"))
    assert told["virtual_hosts"] == [
        {
            "ifname": name,
            "ifindex": host.link(name).index,
            "vhid": vhid,
            "state": state,
            "advbase": 1,
            "advskew": advskew,
            "demote": 0,
            "carpdev": "eth0",
        }
        for name, vhid, state, advskew in (("carp0", 7, "master", 30), ("carp1", 9, "init", 0))
    ]
    lines = carpctl(host, "status").splitlines()
    assert lines[0].split()[:3] == ["INTERFACE", "VHID", "STATE"]
    assert lines[1].split() == ["carp0", "7", "MASTER", "1", "30", "0", "eth0"]
    assert lines[2].split() == ["carp1", "9", "INIT", "1", "0", "0", "eth0"]


def test_nothing_is_there(host: Host) -> None:
    assert json.loads(carpctl(host, "status --json"))["virtual_hosts"] == []
    assert carpctl(host, "status").splitlines()[0].startswith("INTERFACE")


def test_monitor(lan: Lan) -> None:
    """A takeover is told as it happens, in words and in JSON."""
    c.create_pair(lan)
    text = lan.b.spawn("carpctl", "monitor")
    lines = lan.b.spawn("carpctl", "monitor", "--json")
    # they listen when they have no more to say to the kernel
    time.sleep(0.5)
    lan.hard_cut(lan.a)
    c.wait_state(lan.b, "master")
    wait_for(lambda: lines.output().endswith("\n"), 5, "an event is told")
    (event,) = map(json.loads, lines.output().splitlines())
    assert event.pop("time") > 0
    assert event == {
        "event": "state",
        "ifname": "carp0",
        "ifindex": lan.b.link("carp0").index,
        "vhid": 1,
        "old_state": "backup",
        "state": "master",
        "reason": "master_timed_out",
        "demote": 0,
    }
    wait_for(lambda: text.output().endswith("\n"), 5, "an event is told")
    expected = "carp0 vhid 1: BACKUP -> MASTER (master timed out), demote 0\n"
    assert text.output() == expected


def test_watch(host: Host) -> None:
    c.create(host, "advbase 60")
    watching = host.spawn("carpctl", "status", "--json", "--watch")
    wait_for(lambda: watching.output().count("\n") == 1, 5, "the state is told")
    host.ip("link", "set", "carp0", "type", "carp", "state", "master")
    wait_for(lambda: watching.output().count("\n") == 2, 5, "the new state is told")
    states = [
        json.loads(line)["virtual_hosts"][0]["state"] for line in watching.output().splitlines()
    ]
    assert states == ["backup", "master"]


def test_counters_of_all(host: Host) -> None:
    c.create(host)
    c.wait_state(host, "master")
    told = json.loads(carpctl(host, "stats --json"))
    assert set(told) == set(c.stats(host))
    assert told["tx_ipv4"] >= 1
    assert carpctl(host, "stats").startswith("rx_ipv4 0\n")
