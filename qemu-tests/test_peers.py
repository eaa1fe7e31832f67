# SPDX-License-Identifier: GPL-2.0
"""Other implementations: what they do among themselves, as the measure of ours."""

from __future__ import annotations

import time
from collections.abc import Callable

from lib.clock import wait_for
from lib.frames import advertisements
from lib.lan import VIP, Lan
from lib.peers import Ucarp
from lib.pinger import longest_gap, lost

ADVSKEW = 10


def test_ucarp_outage(lan: Lan, figure: Callable[[str, float, str], None]) -> None:
    """The master dies without a word, its carrier stays up. The backup waits for
    three intervals and its skew, and ucarp for up to another second."""
    a, b = lan.hosts
    master = Ucarp(a)
    wait_for(master.is_master, 10, "ucarp on a is master")
    backup = Ucarp(b, advskew=ADVSKEW)
    wait_for(backup.is_backup, 10, "ucarp on b is backup")
    at_backup = b.capture(only="ip proto 112")
    pinger = lan.client.ping(VIP)
    time.sleep(3.3)
    assert not backup.is_master()

    lan.hard_cut(a)
    wait_for(backup.is_master, 10, "ucarp on b has taken over")
    time.sleep(0.5)
    pings = pinger.stop()

    outage = longest_gap(pings)
    first_lost = lost(pings)[0]
    assert first_lost.sent >= outage.start, "nothing was lost before"
    packets = at_backup.packets()
    seen = advertisements(packets, source=a.address, vhid=1)
    assert all(x.authentic("secret", [VIP]) for x in seen)
    takeover = next(p for p in packets if p.outgoing)
    waited = (takeover.time - seen[-1].time) / 1e9
    figure("ucarp, hard cut, last advertisement to takeover", waited, "s")
    figure("ucarp, hard cut, outage at the client", outage.seconds, "s")
    assert 3 + ADVSKEW / 256 <= waited <= 4.1 + ADVSKEW / 256
    assert outage.seconds <= waited + 0.1
