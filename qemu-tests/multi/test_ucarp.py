# SPDX-License-Identifier: GPL-2.0
"""ucarp between guests: that the machinery works, before anything of ours runs."""

from __future__ import annotations

import time

from cluster import DEAF, Cluster, Node, wait_for
from lib.pinger import longest_gap, lost

VIP = "10.0.0.1"
ADVSKEW = 10


def start_ucarp(node: Node, advskew: int) -> int:
    node.write("/run/up", f'#!/bin/sh\nexec ip addr add {VIP}/24 dev "$1"\n', 0o755)
    node.write("/run/down", f'#!/bin/sh\nexec ip addr del {VIP}/24 dev "$1"\n', 0o755)
    return node.spawn(
        "ucarp", "-i", "eth0", "-s", node.address, "-v", "1", "-p", "secret", "-a", VIP,
        "-u", "/run/up", "-d", "/run/down", "-b", "1", "-k", str(advskew), "-r", "3", "-z", "-P",
    )  # fmt: skip


def wait_state(node: Node, pid: int, state: str, timeout: float) -> None:
    def reached() -> bool:
        lines = [x for x in node.output_of(pid).splitlines() if "Switching to state" in x]
        return bool(lines) and lines[-1].endswith(state)

    wait_for(reached, timeout, f"ucarp on {node} is {state}")


def test_guests_reach_each_other(cluster: Cluster) -> None:
    cluster.client.run("ping", "-c", "2", "-i", "0.2", cluster.a.address)
    cluster.client.run("ping", "-c", "2", "-i", "0.2", cluster.b.address)
    cluster.hub.cut("a")
    assert cluster.a.has_link()
    assert "100% packet loss" in cluster.client.run(
        "ping", "-c", "1", "-W", "1", cluster.a.address, check=False
    )
    cluster.hub.heal("a")
    cluster.client.run("ping", "-c", "1", cluster.a.address)
    cluster.a.pull_cable()
    wait_for(lambda: not cluster.a.has_link(), 10, "a notices that its cable is pulled")


def test_the_master_loses_its_power(cluster: Cluster) -> None:
    a, b = cluster.a, cluster.b
    wait_state(a, start_ucarp(a, 0), "MASTER", 60)
    on_b = start_ucarp(b, ADVSKEW)
    wait_state(b, on_b, "BACKUP", 60)
    time.sleep(DEAF)
    pinger = cluster.client.ping(VIP)
    time.sleep(2)
    a.kill()
    wait_state(b, on_b, "MASTER", 20)
    time.sleep(1)
    pings = pinger.stop()
    outage = longest_gap(pings)
    print(f"ucarp, power loss, outage at the client: {outage.seconds:.3f} s")
    assert any(ping.received for ping in pings[-20:])
    assert lost(pings)[0].sent >= outage.start - 100_000_000
    # three intervals from the last advertisement, up to another second of ucarp's,
    # and what a busy host takes
    assert 2 <= outage.seconds <= 6
