# SPDX-License-Identifier: GPL-2.0
"""What an advertisement costs, to send it and to receive it."""

from __future__ import annotations

import time

from lib.host import Host
from lib.lan import VIP
from lib.world import World

from bench.load import watched
from bench.peers import PEERS, Peer, Virtual, masters
from bench.results import Results

SECONDS = 100
ROUNDS = 3
SETTLE = 100
"""Seconds until all that a new host, and the end of an earlier one, still makes the kernel do
in the background is done."""
ONE = (Virtual("eth0", 1, VIP),)


def sent(host: Host) -> int:
    """Packets that a host has sent."""
    with host.inside(), open("/proc/thread-self/net/dev") as f:
        [line] = [line for line in f if line.strip().startswith("eth0:")]
    return int(line.split()[10])


def quiet(*hosts: Host) -> tuple[int, int]:
    """The instructions of some quiet seconds, and how many packets were sent."""
    time.sleep(SETTLE)
    before = sum(map(sent, hosts))
    with watched() as load:
        time.sleep(SECONDS)
    return load.instructions, sum(map(sent, hosts)) - before


def pair(world: World) -> tuple[Host, Host]:
    """Two hosts with a cable."""
    a, b = world.make_hosts("a", "b")
    world.cable(a, "eth0", b, "eth0")
    for number, host in ((2, a), (3, b)):
        host.address = f"10.0.0.{number}"
        # nobody wants to know about neighbours and routers in between
        host.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        host.sysctl("net.ipv6.conf.eth0.disable_ipv6", 1)
        host.ip_batch("link set eth0 up", f"addr add {host.address}/24 dev eth0")
    return a, b


def bench(results: Results) -> None:
    group = results.group("advertisements", "Instructions an advertisement")
    group.explain(
        f"All that the guest executes in {SECONDS} s, with an advertisement a second, over what"
        " it executes without; divided by the packets that were sent. It holds the timer, waking"
        " up an idle processor, the veth pair, and for programs the way into and out of the"
        " kernel. Sent: a master alone. Received: a backup that hears it, over the master alone."
        f" Median of {ROUNDS} rounds in which all take turns."
        " VRRPv3, which keepalived speaks, has no authentication; the others verify an HMAC."
    )
    figures: dict[type[Peer], list[tuple[float, float]]] = {peer: [] for peer in PEERS}
    for _ in range(ROUNDS):
        for peer in PEERS:
            figures[peer].append(measure(peer))
    for row, number in (("sent", 0), ("received and verified", 1)):
        for peer in PEERS:
            group.median(row, peer.name, [both[number] for both in figures[peer]])


def measure(peer: type[Peer]) -> tuple[float, float]:
    """What one costs who sends it, and who receives it."""
    world = World()
    try:
        a, b = pair(world)
        nothing, packets = quiet(a, b)
        assert packets == 0, f"{packets} packets on a quiet wire"
        peer(a, ONE)
        alone, packets = quiet(a, b)
        check(packets)
        sender = (alone - nothing) / packets
        peer(b, ONE, rank=1)
        both, packets = quiet(a, b)
        check(packets)
        assert masters(a, ONE) == 1 and masters(b, ONE) == 0
        return sender, (both - alone) / packets
    finally:
        world.close()


def check(packets: int) -> None:
    assert SECONDS - 2 <= packets <= SECONDS + 5, f"{packets} packets in {SECONDS} s"
