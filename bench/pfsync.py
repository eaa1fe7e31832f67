# SPDX-License-Identifier: GPL-2.0
"""What it costs to tell another firewall of a connection, beside conntrackd."""

from __future__ import annotations

import time
from collections.abc import Callable

from lib import pfsync as p
from lib import pfsync_auth as auth
from lib.clock import wait_for
from lib.conntrackd import Conntrackd
from lib.process import run
from lib.router import Router
from lib.world import World

from bench.load import watched
from bench.results import Group, Results

CONNECTIONS = 10_000
RATE = 2_000
SETTLE = 10
STATES = 20_000
ENFORCE = "pfsync, auth enforce"
MODULE = "/carp/pfsync_conntrack.ko"


class Trial:
    """A router, and how its states get to another."""

    def __init__(self, world: World, prepare: Callable[[Router], object]) -> None:
        self.router = Router(world)
        self.other = prepare(self.router)
        time.sleep(3)

    def connect(self) -> tuple[float, float, int]:
        """Instructions and bytes a connection, and how many arrived."""
        router = self.router
        there = router.count(router.b)
        before = router.wire_bytes()
        with watched() as load:
            router.connect(0, CONNECTIONS, RATE)
            time.sleep(SETTLE)
        passed = router.wire_bytes() - before
        return (
            load.instructions / CONNECTIONS,
            passed / CONNECTIONS,
            router.count(router.b) - there,
        )


def neither(router: Router) -> None:
    """Nobody is told."""


def with_pfsync(router: Router, words: str = "") -> None:
    for host in (router.a, router.b):
        p.create(host, words, syncdev="eth2")
    for host in (router.a, router.b):
        p.wait_bulk(host)


def with_enforce(router: Router) -> None:
    with_pfsync(router, auth.words())


def with_conntrackd(router: Router) -> list[Conntrackd]:
    return [
        Conntrackd(router.a, "172.16.0.1", "eth2"),
        Conntrackd(router.b, "172.16.0.2", "eth2"),
    ]


TELLERS: tuple[tuple[str, Callable[[Router], object]], ...] = (
    ("neither", neither),
    ("pfsync", with_pfsync),
    (ENFORCE, with_enforce),
    ("conntrackd", with_conntrackd),
)
"""Who tells the other host, and how it is told to."""


def connections(group: Group) -> None:
    group.explain(
        f"{CONNECTIONS:,} TCP connections are opened through a router, {RATE:,} a second, by SYN,"
        f" SYN and ACK, ACK; all that the guest executes until {SETTLE} s later, over what it"
        " executes when nobody is told. On both hosts together. The bytes are those on the cable"
        " between the two, both ways, with all headers."
    )
    alone = 0.0
    measured = {}
    for name, prepare in TELLERS:
        world = World()
        try:
            cost, passed, arrived = Trial(world, prepare).connect()
        finally:
            world.close()
        if name == "neither":
            alone = cost
            group.explain(f"The connections themselves cost {cost:,.0f} instructions each.")
            continue
        measured[name] = cost - alone
        group.add("a new connection: instructions", name, cost - alone)
        group.add("a new connection: bytes on the wire", name, passed)
        group.add(f"of {CONNECTIONS:,} connections arrived", name, arrived)
        if name == "pfsync":
            group.bar(
                f"{CONNECTIONS:,} connections, of which pfsync tells",
                "every one arrives",
                arrived,
                "arrived",
                arrived == CONNECTIONS,
            )
    group.bar(
        "pfsync: instructions for a connection, over conntrackd's",
        "fewer than conntrackd",
        measured["pfsync"] / measured["conntrackd"],
        "times",
        measured["pfsync"] < measured["conntrackd"],
    )


def bulk(group: Group, name: str, prepare: Callable[[Router], object]) -> float:
    """b comes late, and wants all that a has. How many states a second it gets."""
    world = World()
    try:
        router = Router(world)
        router.connect(0, STATES)
        start = prepare(router)
        there = router.count(router.a)
        assert there >= STATES
        time.sleep(SETTLE)
        assert router.count(router.b) < STATES / 100, "b has them already"
        before = router.wire_bytes()
        with watched() as load:
            begin = time.monotonic()
            start()
            # asked for seldom, so that asking costs nothing
            wait_for(
                lambda: router.count(router.b) >= STATES, 120, f"{name}: all states came", 0.01
            )
            seconds = time.monotonic() - begin
        group.add("all at once: states a second", name, STATES / seconds)
        group.add("all at once: instructions a state", name, load.instructions / STATES)
        passed = router.wire_bytes() - before
        group.add("all at once: bytes on the wire a state", name, passed / STATES)
        return STATES / seconds
    except AssertionError as error:
        if name != "conntrackd":
            raise
        group.missing("all at once: states a second", name, str(error))
        return 0
    finally:
        world.close()


def bulk_pfsync(router: Router, words: str = "") -> Callable[[], object]:
    p.create(router.a, words, syncdev="eth2")
    p.wait_bulk(router.a)

    def start() -> None:
        p.create(router.b, words, syncdev="eth2")

    return start


def bulk_enforce(router: Router) -> Callable[[], object]:
    return bulk_pfsync(router, auth.words())


def bulk_conntrackd(router: Router) -> Callable[[], object]:
    _, b = with_conntrackd(router)
    return lambda: b.command("-n")


def bench(results: Results) -> None:
    run(("modprobe", "-qa", "nf_nat", "nf_conntrack_netlink"), check=False)
    run(("insmod", MODULE))
    group = results.group("pfsync", "States for another firewall")
    connections(group)
    group.explain(
        f"All at once: {STATES:,} states of a router for another that has just come, from the"
        " command that begins it to the last state in the other's table; conntrackd in mode FTFW"
        " without external cache, by conntrackd -n."
        " Both hosts work on the one processor of the guest, and share its thousand million"
        " instructions a second."
    )
    plain = bulk(group, "pfsync", bulk_pfsync)
    signed = bulk(group, ENFORCE, bulk_enforce)
    group.bar(
        "pfsync: all at once with auth enforce, over without",
        "at least 0.7 times as fast",
        signed / plain,
        "times",
        signed >= 0.7 * plain,
    )
    bulk(group, "conntrackd", bulk_conntrackd)
