# SPDX-License-Identifier: GPL-2.0
"""Many states: what one costs, beside conntrackd, and that none is lost.

STATES=200000 and CONNECTIONS=100000 in the environment of the guest are the large
ones, for which it wants --memory 4096; without them the tests are small ones of the
same shape.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from lib import pfsync as p
from lib.clock import busy, wait_for
from lib.conntrackd import Conntrackd
from lib.router import Router
from lib.world import World

pytestmark = [pytest.mark.usefixtures("pfsync"), pytest.mark.figures]

STATES = int(os.environ.get("STATES", "10000"))
CONNECTIONS = int(os.environ.get("CONNECTIONS", "10000"))
RATE = 10_000
Figure = Callable[[str, float, str], None]


def cost(act: Callable[[], object], settle: Callable[[], object] = lambda: None) -> float:
    """The instructions that something takes, and what follows from it."""
    before = busy()
    act()
    settle()
    return (busy() - before) * 1e9


def test_bulk(world: World, figure: Figure) -> None:
    """A fresh peer gets a large table."""
    router = Router(world)
    router.connect(0, STATES)
    there = router.count(router.a)
    assert there >= STATES
    p.create(router.a, syncdev="eth2")
    p.wait_bulk(router.a)
    wait_for(lambda: p.info(router.a)["states"] >= STATES, 60, "a knows all its states")
    start = time.monotonic()
    before = busy()
    p.create(router.b, syncdev="eth2")
    p.wait_bulk(router.b, timeout=600)
    seconds = time.monotonic() - start
    instructions = (busy() - before) * 1e9
    noted = p.info(router.b)
    print(noted, p.stats(router.a))
    assert noted["demote"] == 0 and noted["states"] >= STATES
    assert noted["stats"]["bulk_received"] == 1
    sent = p.stats(router.a)
    assert noted["stats"]["inserted"] >= STATES
    figure("bulk: states", STATES, "")
    figure("bulk: time", seconds, "s")
    figure("bulk: states a second", STATES / seconds, "")
    figure("bulk: frames sent", sent["opackets"], "")
    figure("bulk: states sent again", sent["repeated"], "")
    figure("bulk: instructions a state, both hosts", instructions / STATES, "")
    assert sent["repeated"] < STATES / 100


def test_connections(world: World, figure: Figure) -> None:
    """10,000 new connections a second: none is lost, by pfsync; and what each costs,
    alone, with pfsync on one host, on both, and with conntrackd."""
    router = Router(world)
    number = 0

    def connect() -> None:
        nonlocal number
        router.connect(number, CONNECTIONS, RATE)
        number += CONNECTIONS

    alone = cost(connect)
    p.create(router.a, syncdev="eth2")
    time.sleep(30)
    sender = cost(connect, lambda: time.sleep(10))
    p.create(router.b, syncdev="eth2")
    p.wait_bulk(router.b, timeout=300)
    before = router.count(router.b)
    both = cost(connect, lambda: time.sleep(3))
    arrived = router.count(router.b) - before
    assert arrived == CONNECTIONS, f"{CONNECTIONS - arrived} connections are missing"
    stats = p.stats(router.a)
    figure("connections: alone, instructions each", alone / CONNECTIONS, "")
    figure(
        "pfsync: instructions a connection, one host, no peer", (sender - alone) / CONNECTIONS, ""
    )
    figure("pfsync: instructions a connection, both hosts", (both - alone) / CONNECTIONS, "")
    figure("pfsync: states sent again", stats["repeated"], "")
    for host in (router.a, router.b):
        host.ip("link", "del", "pfsync0")
        host.run("conntrack", "-F")
    daemons = [
        Conntrackd(router.a, "172.16.0.1", "eth2"),
        Conntrackd(router.b, "172.16.0.2", "eth2"),
    ]
    time.sleep(1)
    beside = cost(connect, lambda: time.sleep(10))
    arrived = router.count(router.b)
    figure("conntrackd: instructions a connection, both hosts", (beside - alone) / CONNECTIONS, "")
    figure("conntrackd: connections that arrived", arrived, f"of {CONNECTIONS}")
    print(daemons[0].command("-s"))
