# SPDX-License-Identifier: GPL-2.0
"""carp.ko between guests: a network card that filters, and hosts that die."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from cluster import DEAF, Cluster, Node, wait_for
from lib.capture import Packet
from lib.frames import Advertisement, advertisements, mac_bytes, virtual_mac
from lib.pinger import longest_gap, lost

VIP = "10.0.0.1"
VHID = 1
ADVSKEW = 100
TIMEOUT = 3 + ADVSKEW / 256
# how late a busy host may let a guest run
SLACK = 1.5


def state(node: Node) -> str:
    shown = json.loads(node.run("ip", "-d", "-j", "link", "show", "dev", "carp0"))
    return shown[0]["linkinfo"]["info_data"]["state"]


def wait_state(node: Node, wanted: str, timeout: float = 10) -> None:
    wait_for(lambda: state(node) == wanted, timeout, f"carp0 on {node} is {wanted}")


def start_carp(node: Node, advskew: int) -> None:
    node.run("insmod", "/carp/carp.ko")
    node.run(
        "ip", "link", "add", "carp0", "type", "carp", "vhid", str(VHID), "carpdev", "eth0",
        "pass", "secret", "advskew", str(advskew),
    )  # fmt: skip
    node.run("ip", "addr", "add", f"{VIP}/24", "dev", "carp0")
    node.run("ip", "link", "set", "dev", "carp0", "up")


@pytest.fixture
def pair(cluster: Cluster) -> Iterator[Cluster]:
    """carp0 on a, the master, and on b."""
    start_carp(cluster.a, 0)
    wait_state(cluster.a, "master")
    start_carp(cluster.b, ADVSKEW)
    wait_state(cluster.b, "backup")
    time.sleep(DEAF)
    yield cluster


def heard(cluster: Cluster, port: str, since: int = 0) -> list[Advertisement]:
    """The advertisements that came from a node; their times are the hub's."""
    return advertisements(
        [
            Packet(frame.time, port, False, frame.data)
            for frame in cluster.hub.frames(since)
            if frame.port == port
        ]
    )


def test_the_card_takes_the_virtual_mac(pair: Cluster) -> None:
    """Every card on the hub hears the pings; the master's alone must not drop them,
    and nobody but the master may answer."""
    start = time.monotonic_ns()
    pinger = pair.client.ping(VIP)
    time.sleep(2)
    pings = pinger.stop()
    assert len(lost(pings)) <= 1, "but for the first, which asks for the address"
    to_vip = [
        frame
        for frame in pair.hub.frames(start)
        if frame.port == "client" and frame.data[:6] == mac_bytes(virtual_mac(VHID))
    ]
    assert len(to_vip) >= len(pings) - 2
    echo_reply = b"\x08\x00\x45"
    assert not [
        frame
        for frame in pair.hub.frames(start)
        if frame.port == "b" and frame.data[12:15] == echo_reply and frame.data[23] == 1
    ]


def test_the_master_loses_its_power(pair: Cluster) -> None:
    pinger = pair.client.ping(VIP)
    time.sleep(1)
    pair.a.kill()
    wait_state(pair.b, "master")
    time.sleep(1)
    pings = pinger.stop()
    silence = (heard(pair, "b")[0].time - heard(pair, "a")[-1].time) / 1e9
    outage = longest_gap(pings).seconds
    print(f"carp, power loss: silence {silence:.3f} s, outage at the client {outage:.3f} s")
    assert any(ping.received for ping in pings[-20:])
    assert TIMEOUT - 0.05 <= silence <= TIMEOUT + SLACK
    assert outage <= silence + 0.5


def test_the_master_stands_still_and_comes_back(pair: Cluster) -> None:
    """Frozen, it believes to be master when it wakes up; the other one was."""
    pair.a.freeze()
    wait_state(pair.b, "master")
    time.sleep(2)
    pair.a.thaw()
    wait_state(pair.b, "backup")
    assert state(pair.a) == "master"
    pinger = pair.client.ping(VIP)
    time.sleep(1)
    assert len(lost(pinger.stop())) <= 1
    start = time.monotonic_ns()
    time.sleep(2.5)
    assert heard(pair, "a", start) and not heard(pair, "b", start)


def test_the_masters_cable_is_pulled(pair: Cluster) -> None:
    pair.a.pull_cable()
    wait_state(pair.a, "init", 5)
    wait_state(pair.b, "master")
    pair.a.plug_cable()
    wait_for(lambda: state(pair.a) != "init", 10, "carp0 on a runs again")
