# SPDX-License-Identifier: GPL-2.0
"""carpctl peers: who else advertises the virtual hosts, and what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.lan import Lan

pytestmark = pytest.mark.usefixtures("carp")


def peers(host: Host) -> list[dict[str, Any]]:
    return json.loads(host.run("carpctl", "peers", "--json").stdout)["carp"]


def test_a_pair(lan: Lan) -> None:
    """The backup hears the master, and has heard it when that is gone; a demotion is seen."""
    c.create_pair(lan)
    (peer,) = peers(lan.b)
    assert peers(lan.a) == []
    heard = peer.pop("heard_ms")
    assert heard < 1100
    assert peer == {
        "ifname": "carp0",
        "vhid": 1,
        "address": lan.a.address,
        "advbase": 1,
        "advskew": 0,
        "demote": 0,
        "digest": "good",
    }
    for host in (lan.b, lan.a):
        host.run("carpctl", "demote", "x", "--by", "3")
    wait_for(lambda: peers(lan.b)[0]["demote"] == 3, 3, "b hears of it")
    lan.hard_cut(lan.a)
    c.wait_state(lan.b, "master")
    (peer,) = peers(lan.b)
    assert peer["heard_ms"] > 3000
    lines = lan.b.run("carpctl", "peers").stdout.splitlines()
    assert lines[0] == "carp:"
    words = "INTERFACE VHID ADDRESS ADVBASE ADVSKEW DEMOTE HEARD DIGEST"
    assert lines[1].split() == words.split()
    assert lines[2].split()[:3] == ["carp0", "1", lan.a.address]
    assert lines[3] == "pfsync:"


def test_another_passphrase(lan: Lan) -> None:
    """Both are master, and each sees the other's digest differ, until it is mended."""
    c.create(lan.a)
    c.create(lan.b, password="other", advskew=100)
    for host in lan.hosts[:2]:
        c.wait_state(host, "master")
    for host, other in (lan.hosts[:2], lan.hosts[1::-1]):
        wait_for(lambda host=host: peers(host), 3, "it is heard")
        (peer,) = peers(host)
        assert (peer["address"], peer["digest"]) == (other.address, "differs")
        assert "digest_differs" in c.info(host)
    lan.b.ip("link", "set", "carp0", "type", "carp", "pass", c.PASS)
    c.wait_state(lan.b, "backup")
    assert peers(lan.b)[0]["digest"] == "good"
    assert "digest_differs" not in c.info(lan.b)


def test_both_families_of_several_virtual_hosts(lan: Lan) -> None:
    """Each family is an address of its own."""
    for host, skews in ((lan.a, "1:0,2:100"), (lan.b, "1:100,2:0")):
        c.create_nodes(host, skews)
        host.ip("addr", "add", "2001:db8::100/64", "dev", "carp0", "nodad")
    c.wait_masters(lan.a, [1])
    c.wait_masters(lan.b, [2])
    wait_for(lambda: {it["vhid"] for it in peers(lan.a)} >= {2}, 5, "a hears of 2")
    for host, other, vhid in ((lan.a, lan.b, 2), (lan.b, lan.a, 1)):

        def heard(host: Host = host, vhid: int = vhid) -> set[bool]:
            told = [it for it in peers(host) if it["vhid"] == vhid]
            return {":" in it["address"] for it in told}

        wait_for(lambda heard=heard: heard() == {True, False}, 5, "both families are heard")
        ipv4 = [it for it in peers(host) if it["vhid"] == vhid and "." in it["address"]]
        assert [it["address"] for it in ipv4] == [other.address]


def test_nobody(host: Host) -> None:
    assert peers(host) == []
    c.create(host)
    c.wait_state(host, "master")
    assert peers(host) == []
    command = ["setpriv", "--reuid=65534", "--clear-groups", "carpctl", "peers"]
    assert host.run(*command).stdout.startswith("carp:\nINTERFACE")
