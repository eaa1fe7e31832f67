# SPDX-License-Identifier: GPL-2.0
"""A clock that is set forwards and backwards: nothing happens. Timers and ages go by the
monotonic clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from lib import carp as c
from lib import traffic as t
from lib.clock import MILLISECOND, SECOND, now
from lib.frames import advertisements
from lib.gateway import SERVER, Gateway
from lib.lan import Lan
from lib.world import World

HOUR = 3600


def steps() -> Iterator[int]:
    """Sets the clock an hour ahead, an hour back behind, and right again."""
    for hours in (1, -2, 1):
        time.clock_settime(time.CLOCK_REALTIME, time.time() + hours * HOUR)
        yield hours


@pytest.mark.usefixtures("carp")
def test_the_election_does_not_notice(lan: Lan) -> None:
    """Advertisements leave at the same intervals, and a backup waits as long."""
    c.create_pair(lan)
    time.sleep(4)
    capture = lan.client.capture(only="ip proto 112")
    start = now()
    for _ in steps():
        time.sleep(3.4)
    heard = advertisements(capture.packets())
    assert len(heard) >= 9
    assert {it.advskew for it in heard} == {0}
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    # the packets have the clock's time
    since = [it.time - start for it in heard]
    times = [at - round(at / (HOUR * SECOND)) * HOUR * SECOND for at in since]
    for before, after in zip(times, times[1:], strict=False):
        assert abs(after - before - SECOND) < 2 * MILLISECOND


@pytest.mark.usefixtures("pfsync")
def test_connections_go_on(world: World) -> None:
    """Old ones and those that were opened meanwhile, also through the other host."""
    gateway = Gateway(world)
    idle = []
    for number, _ in enumerate(steps()):
        ends = t.connect(gateway.client, gateway.server, SERVER, 5001 + number)
        idle.append(t.Idle(f"opened after step {number}", *ends))
        time.sleep(2)
        for one in idle:
            one.speak()
    assert c.state(gateway.a) == "master"
    time.sleep(1.5)
    gateway.die(gateway.a)
    gateway.wait_one(gateway.b)
    for one in idle:
        one.speak()
        one.stop()
