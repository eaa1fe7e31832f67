# SPDX-License-Identifier: GPL-2.0
"""carpctl history: the last changes of each interface, which the kernel keeps."""

from __future__ import annotations

import json
import time

import pytest
from lib import carp as c
from lib.host import Host
from lib.lan import Lan

pytestmark = pytest.mark.usefixtures("carp")


def history(host: Host, *words: str) -> list[dict]:
    return json.loads(host.run("carpctl", "history", "--json", *words).stdout)


def test_a_change_has_time_reason_and_demotion(host: Host) -> None:
    before = time.time()
    c.create(host)
    c.wait_state(host, "master")
    host.run("carpctl", "demote", "x", "--by", "7")
    host.ip(*"link set carp0 type carp state backup".split())
    c.wait_state(host, "master")
    told = history(host)
    assert [(it["old_state"], it["state"], it["reason"], it["demote"]) for it in told] == [
        ("init", "backup", "started", 0),
        ("backup", "master", "master_timed_out", 0),
        ("master", "backup", "administrator", 7),
        ("backup", "master", "master_timed_out", 7),
    ]
    assert {(it["ifname"], it["vhid"]) for it in told} == {("carp0", 1)}
    times = [it["time"] for it in told]
    assert times == sorted(times) and before - 0.1 < times[0] and times[-1] < time.time() + 0.1
    lines = host.run("carpctl", "history").stdout.splitlines()
    assert lines[0].split() == ["TIME", "INTERFACE", "VHID", "FROM", "TO", "DEMOTE", "REASON"]
    assert lines[4].split()[1:] == "carp0 1 BACKUP MASTER 7 master timed out".split()


def test_the_last_64_are_kept(host: Host) -> None:
    """Of each interface; and a reader whose buffer is small gets all of them."""
    c.create(host)
    c.create(host, name="carp1", vhid=2, addresses=("10.0.0.101/24",))
    c.wait_state(host, "master")
    c.wait_state(host, "master", name="carp1")
    flips = [f"link set carp0 type carp state {state}" for state in ("backup", "master")]
    host.ip_batch(*(flips * 100))
    told = history(host, "carp0")
    assert len(told) == 64
    assert [it["state"] for it in told] == ["backup", "master"] * 32
    assert {it["ifname"] for it in told} == {"carp0"}
    of_both = history(host)
    assert len(of_both) == 66
    assert sum(it["ifname"] == "carp1" for it in of_both) == 2


def test_two_hosts_tell_of_one_handover(lan: Lan) -> None:
    """The times on both are so near that they can be put in order."""
    c.create_pair(lan)
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master")
    gone, come = history(lan.a)[-1], history(lan.b)[-1]
    assert (gone["state"], gone["reason"]) == ("init", "stopped")
    assert (come["state"], come["reason"]) == ("master", "master_bowed_out")
    assert abs(come["time"] - gone["time"]) < 0.1


def test_who_is_no_carp_interface_has_none(host: Host) -> None:
    assert history(host) == []
    assert "eth0" in host.refused("carpctl", "history", "eth0")
    c.create(host, up=False)
    assert history(host, "carp0") == []
