# SPDX-License-Identifier: GPL-2.0
"""What a flood of packets costs, each of a connection of its own, of which peers are told."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from lib import conntrack, flows
from lib.process import run
from lib.router import Router
from lib.world import World

from bench.load import watched
from bench.pfsync import MODULE, TELLERS
from bench.results import Group, Results

PLACES = 32_768
"""Of the table."""
GOOD = 1_000
"""Connections that are there before."""
PACKETS = 20_000
SETTLE = 5
SERVER = "10.2.0.100"


def set_places(count: int) -> None:
    for name in ("buckets", "max"):
        run(("sysctl", "-qw", f"net.netfilter.nf_conntrack_{name}={count}"))


def send(router: Router, count: int, seed: int, path: Path) -> None:
    mac = router.a.link("eth0").address
    packets = [flow.frame(mac, target=SERVER) for flow in flows.make(count, seed)]
    flows.send(router.client, packets, path)


def flood(group: Group) -> None:
    group.explain(
        f"{PACKETS:,} datagrams through a router, as fast as it takes them, each of a connection"
        f" of its own that nobody answers, when its table of {PLACES:,} places is full of such:"
        f" conntrack takes one out for each. All that the guest executes until {SETTLE} s later,"
        " on both hosts together, over what it executes when nobody is told. Before that"
        f" {GOOD:,} TCP connections were established, which both hosts still should have then."
    )
    alone = 0.0
    for name, prepare in TELLERS:
        world = World()
        try:
            router = Router(world)
            set_places(PLACES)
            other = prepare(router)
            router.connect(0, GOOD, 1000)
            time.sleep(3)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "frames"
                send(router, PLACES, 1, path)
                time.sleep(SETTLE)
                with watched() as load:
                    send(router, PACKETS, 2, path)
                    time.sleep(SETTLE)
            left = [len(conntrack.entries(host, proto=6)) for host in (router.a, router.b)]
            del other
        finally:
            world.close()
        each = load.instructions / PACKETS
        if name == "neither":
            alone = each
            group.explain(f"A packet itself costs {each:,.0f} instructions.")
            continue
        group.add("a packet of the flood: instructions", name, each - alone)
        group.add(f"of {GOOD:,} good connections, a has after it", name, left[0])
        group.add(f"of {GOOD:,} good connections, b has after it", name, left[1])
        if name == "pfsync":
            group.bar(
                "good connections that a flood costs",
                "none",
                2 * GOOD - sum(left),
                "connections",
                sum(left) == 2 * GOOD,
            )


def bench(results: Results) -> None:
    run(("modprobe", "-qa", "nf_nat", "nf_conntrack_netlink"), check=False)
    run(("insmod", MODULE))
    flood(results.group("flood", "A flood of connections that nobody answers"))
