# SPDX-License-Identifier: GPL-2.0
"""What very many states cost of which nothing is to be told."""

from __future__ import annotations

import time

from lib import pfsync as p
from lib.clock import wait_for
from lib.process import run
from lib.router import Router
from lib.world import World

from bench.hosts import available
from bench.load import Load, watched
from bench.results import Group, Results

STATES = 1_000_000
WATCHED = 20
MODULE = "/carp/pfsync_conntrack.ko"
SHARE = 1.0
"""Of the processor, in percent, at most."""


def idle() -> Load:
    with watched() as load:
        time.sleep(WATCHED)
    return load


def million(group: Group) -> None:
    group.explain(
        f"{STATES:,} TCP connections through a router, established and then silent. All that the"
        f" guest executes in {WATCHED} s, of its thousand million instructions a second; the"
        " longest time between two idle times is at least as long as that of any softirq. The"
        " memory is what there is less of it when pfsync0 has taken all of them in."
    )
    world = World()
    try:
        router = Router(world)
        router.connect(0, STATES)
        assert router.count(router.a) >= STATES
        time.sleep(10)
        free = available()
        alone = idle()
        p.create(router.a, syncdev="eth2")
        wait_for(lambda: p.info(router.a)["states"] >= STATES, 60, "all are known")
        p.wait_bulk(router.a)
        # until whatever has to be done for it once is done: hash tables are resized
        time.sleep(60)
        taken = free - available()
        load = idle()
        there = p.info(router.a)["states"]
        assert there >= STATES, f"{there} are left"
    finally:
        world.close()
    for name, one in (("neither", alone), ("pfsync", load)):
        group.add("the processor's share", name, one.share, "%")
        group.add("the longest time between two idle times", name, one.longest / 1000, "µs")
    each = taken * 1024 / STATES
    group.add("memory each, besides connection tracking's", "pfsync", each, "bytes")
    more = load.share - alone.share
    group.bar(
        f"pfsync: {STATES:,} idle states, of the processor",
        f"less than {SHARE:g} %",
        more,
        "%",
        more < SHARE,
    )


def bench(results: Results) -> None:
    run(("modprobe", "-qa", "nf_nat", "nf_conntrack_netlink"), check=False)
    run(("insmod", MODULE))
    million(results.group("idle", "A million connections that are silent"))
