# SPDX-License-Identifier: GPL-2.0
"""advbase 0: intervals of a few milliseconds."""

from __future__ import annotations

import time

import pytest
from lib import carp as c
from lib.clock import MILLISECOND, SECOND
from lib.lan import Lan

pytestmark = pytest.mark.usefixtures("carp")


@pytest.mark.figures
@pytest.mark.parametrize("advskew", [0, 1, 3])
def test_behind_a_master_with_a_coarse_clock(lan: Lan, advskew: int) -> None:
    """OpenBSD's clock has ticks of 10 ms: an interval is rounded up, and one tick more.
    A backup that believes what such a master says takes over fifty times a second."""
    step = (-(-max(advskew, 1) * 1000 // 2560) + 1) * 10 * MILLISECOND
    frame = c.Advertisement(advbase=0, advskew=advskew).frame()
    c.create(lan.a, "advbase 0", advskew=advskew)
    c.wait_state(lan.a, "master")
    # the first advertisement makes it a backup; a master just as good stays
    start = time.time_ns()
    for number in range(100):
        time.sleep(max(0, (start + number * step - time.time_ns()) / SECOND))
        lan.client.send_frame(frame)
        if number == 0:
            time.sleep(0.001)
            assert c.state(lan.a) == "backup"
            before = c.stats(lan.a)["preempt"]
    assert c.stats(lan.a)["preempt"] == before
    assert c.state(lan.a) == "backup"
    # and when it falls silent the wait is three of its intervals, not more than a bit longer
    c.wait_state(lan.a, "master", 0.2)


@pytest.mark.figures
def test_between_linux_hosts_the_wait_is_the_protocols(lan: Lan) -> None:
    """A backup has seen after three intervals that the master is as fast as it says."""
    for host, skew in zip(lan.hosts, (1, 2), strict=True):
        host.sysctl("net.inet.carp.preempt", 1)
        c.create(host, "advbase 0", advskew=skew)
    c.wait_state(lan.a, "master")
    c.wait_state(lan.b, "backup")
    time.sleep(0.5)
    assert c.state(lan.b) == "backup"
    capture = lan.client.capture(only="ip proto 112")
    time.sleep(0.05)
    lan.hard_cut(lan.a)
    time.sleep(0.2)
    adverts = c.heard(capture.packets())
    silence = max(b.time - a.time for a, b in zip(adverts, adverts[1:], strict=False))
    wait = 3 * 2 * SECOND // 256
    assert wait <= silence < wait + MILLISECOND
