# SPDX-License-Identifier: GPL-2.0
"""How long the address is gone when a master dies without a word."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
from lib import carp as c
from lib.clock import SECOND
from lib.lan import VIP, Lan
from lib.pinger import longest_gap

pytestmark = [pytest.mark.usefixtures("carp"), pytest.mark.figures]

RUNS = 50


@pytest.mark.parametrize("advskew", [0, 100, 254])
def test_hard_cut(lan: Lan, advskew: int, figure: Callable[[str, float, str], None]) -> None:
    """Cut off a master whose carrier stays, again and again, at another moment of its
    interval each time. Both hosts have the same advskew, so either takes over alike.

    By packet timestamps: from the last advertisement that got through to the first of
    the new master, and the client's longest time without a reply.
    """
    c.create(lan.a, advskew=advskew)
    c.wait_state(lan.a, "master")
    c.create(lan.b, advskew=advskew)
    c.wait_state(lan.b, "backup")
    master, backup = lan.a, lan.b
    bound = 3 * SECOND + advskew * SECOND // 256
    silences, outages = [], []
    for run in range(RUNS):
        time.sleep(2 + run / RUNS)
        capture = lan.client.capture(only="ip proto 112")
        # the last advertisement may be as old as an interval
        time.sleep(2.1)
        pinger = lan.client.ping(VIP)
        time.sleep(0.05)
        lan.hard_cut(master)
        time.sleep(bound / SECOND + 0.2)
        pings = pinger.stop()
        adverts = c.heard(capture.packets())
        capture.close()
        silences.append(max(b.time - a.time for a, b in zip(adverts, adverts[1:], strict=False)))
        outages.append(longest_gap(pings).seconds)
        assert c.state(backup) == "master"
        lan.heal(master)
        # an equal one gives way to whom it hears first: make it the one that was dead
        master.ip("link", "set", "carp0", "down")
        master.ip("link", "set", "carp0", "up")
        c.wait_state(master, "backup")
        master, backup = backup, master
    over = [(silence - bound) / 1e6 for silence in silences]
    for what, values in (
        ("silence over the bound", over),
        ("outage seen by the client", [outage * 1e3 for outage in outages]),
    ):
        figure(f"advskew {advskew}: {what}, minimum of {RUNS}", min(values), "ms")
        figure(f"advskew {advskew}: {what}, median", statistics.median(values), "ms")
        figure(f"advskew {advskew}: {what}, maximum", max(values), "ms")
    assert min(over) > -0.01, "a backup waits for all of it"
    assert max(over) <= 1, "design: at most 1 ms more than the protocol's bound"
    assert max(outages) <= bound / SECOND + 0.003
