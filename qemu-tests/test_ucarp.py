# SPDX-License-Identifier: GPL-2.0
"""ucarp as the other host, both ways round, and sniffers that know CARP."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from lib import carp as c
from lib.clock import SECOND, wait_for
from lib.lan import VIP, Lan
from lib.peers import Ucarp
from lib.pinger import longest_gap

pytestmark = pytest.mark.usefixtures("carp")

ADVSKEW = 100
TIMEOUT = 3 + ADVSKEW / 256


def test_ucarp_dies_and_we_take_over(lan: Lan, figure: Callable[[str, float, str], None]) -> None:
    """To the millisecond after its last advertisement."""
    ucarp = Ucarp(lan.a)
    wait_for(ucarp.is_master, 10, "ucarp on a is master")
    c.create(lan.b, advskew=ADVSKEW)
    time.sleep(8)
    assert c.state(lan.b) == "backup"
    heard = c.stats(lan.b)
    assert heard["rx_ipv4"] >= 7 and heard["rx_bad_auth"] == 0
    wire = lan.b.capture(only="ip proto 112")
    pinger = lan.client.ping(VIP)
    time.sleep(1.5)
    lan.hard_cut(lan.a)
    c.wait_state(lan.b, "master")
    time.sleep(0.5)
    outage = longest_gap(pinger.stop()).seconds
    packets = c.heard(wire.packets())
    first = next(p for p in packets if p.mac == c.virtual_mac(1))
    last = [p for p in packets if p.source == lan.a.address][-1]
    waited = (first.time - last.time) / SECOND
    figure("ucarp dies: last advertisement to our takeover", waited, "s")
    figure("ucarp dies: outage at the client", outage, "s")
    assert TIMEOUT <= waited <= TIMEOUT + 0.001
    assert outage <= waited + 0.01


def test_we_die_and_ucarp_takes_over(lan: Lan, figure: Callable[[str, float, str], None]) -> None:
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    ucarp = Ucarp(lan.b, advskew=ADVSKEW)
    wait_for(ucarp.is_backup, 10, "ucarp on b is backup")
    time.sleep(8)
    assert ucarp.is_backup(), "it believes our advertisements"
    pinger = lan.client.ping(VIP)
    time.sleep(1.5)
    lan.hard_cut(lan.a)
    wait_for(ucarp.is_master, 10, "ucarp on b takes over")
    time.sleep(0.5)
    outage = longest_gap(pinger.stop()).seconds
    figure("we die: outage at the client until ucarp has taken over", outage, "s")
    # ucarp takes up to a second longer than its timeout
    assert outage <= TIMEOUT + 1.2


def test_ucarp_hears_our_farewell(lan: Lan) -> None:
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    ucarp = Ucarp(lan.b, advskew=ADVSKEW)
    wait_for(ucarp.is_backup, 10, "ucarp on b is backup")
    time.sleep(3)
    lan.a.ip("link", "set", "carp0", "down")
    wait_for(ucarp.is_master, 1.2, "ucarp takes over long before its timeout")


def test_a_split_with_ucarp_heals(lan: Lan) -> None:
    """Both were master; the faster one stays."""
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    ucarp = Ucarp(lan.b, advskew=ADVSKEW)
    wait_for(ucarp.is_backup, 10, "ucarp on b is backup")
    lan.hard_cut(lan.a)
    wait_for(ucarp.is_master, 10, "ucarp on b takes over")
    lan.heal(lan.a)
    wait_for(ucarp.is_backup, 5, "ucarp gives way")
    time.sleep(3)
    assert c.state(lan.a) == "master" and ucarp.is_backup()


def test_tcpdump_reads_our_advertisements(lan: Lan) -> None:
    c.create(lan.a, advskew=10)
    c.wait_state(lan.a, "master")
    shown = lan.client.run(
        "tcpdump", "-nvi", "eth0", "-T", "carp", "-c", "2", "ip proto 112", timeout=20
    ).stdout
    assert len(re.findall("CARPv2-advertise 36: vhid=1 advbase=1 advskew=10", shown)) == 2, shown
    assert "bad" not in shown


def test_tshark_reads_our_advertisements(lan: Lan) -> None:
    c.create(lan.a, advskew=10)
    c.wait_state(lan.a, "master")
    shown = lan.client.run(
        "tshark",
        "-nVi",
        "eth0",
        "-d",
        "ip.proto==112,carp",
        "-f",
        "ip proto 112",
        "-c",
        "1",
        timeout=60,
    ).stdout
    assert "Common Address Redundancy Protocol" in shown, shown
    assert re.search("Virtual Host ID: 1", shown), shown
    assert re.search(r"Checksum Status: Good|Checksum: 0x[0-9a-f]+ \[correct\]", shown), shown
