# SPDX-License-Identifier: GPL-2.0
"""Several virtual hosts share an interface's IPv6 traffic."""

from __future__ import annotations

import time

import pytest
from lib import carp as c
from lib.lan import VIP6, Lan

pytestmark = pytest.mark.usefixtures("carp")

SOURCES = [f"fd00::1:{number:x}" for number in range(1, 25)]


def ping(lan: Lan, source: str) -> tuple[int, bool]:
    """How many answers one request got, and whether one came twice."""
    output = lan.client.run("ping", "-n", "-c1", "-W1", "-I", source, VIP6).stdout
    return output.count("bytes from"), "DUP" in output


def received(lan: Lan) -> list[int]:
    """Packets by the interfaces' own counters."""
    return [host.show("carp0")["stats64"]["rx"]["packets"] for host in (lan.a, lan.b)]


@pytest.mark.parametrize("mode", ["ip", "ip-stealth", "ip-unicast", "arp"])
def test_each_asker_is_answered_once(lan: Lan, mode: str) -> None:
    """In the modes by hash by one of the hosts, and both have work; when one dies the
    other answers everybody."""
    for host, nodes in ((lan.a, "1:0,2:100"), (lan.b, "1:100,2:0")):
        if mode == "ip-unicast":
            # the network must deliver to everyone by itself
            lan.switch.run("bridge", "link", "set", "dev", host.name, "learning", "off")
        c.create_nodes(host, nodes, mode)
        host.ip("addr", "add", f"{VIP6}/64", "dev", "carp0")
    c.wait_masters(lan.a, [1])
    c.wait_masters(lan.b, [2])
    lan.client.ip_batch(*(f"addr add {source}/64 dev eth0 nodad" for source in SOURCES))
    before = received(lan)
    answers = [ping(lan, source) for source in SOURCES]
    assert answers == [(1, False)] * len(SOURCES)
    if mode != "arp":
        shares = [after - was for was, after in zip(before, received(lan), strict=True)]
        assert min(shares) >= len(SOURCES) // 4, "the hash gives both their share"
    lan.hard_cut(lan.a)
    c.wait_masters(lan.b, [1, 2])
    time.sleep(0.1)
    if mode == "arp":
        # whoever was given the dead host asks again after a while
        lan.client.ip("neigh", "flush", "all")
    answers = [ping(lan, source) for source in SOURCES]
    assert answers == [(1, False)] * len(SOURCES)
