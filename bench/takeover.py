# SPDX-License-Identifier: GPL-2.0
"""From the expired timer of a backup to its advertisement, and to the first packet for
the shared address that it accepts."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from lib import carp as c
from lib.capture import Packet
from lib.lan import VIP, VIP6, Lan
from lib.world import World

from bench.results import Results

RUNS = 20
BAR = 100_000
ADVSKEW = 100
BOUND = 3_000_000_000 + ADVSKEW * 1_000_000_000 // 256
STEP = 0.0001
"""Between two pings, in seconds: enough for the processor to do one, and be idle."""
MORE = (1, 3)
"""IPv4 addresses: with the IPv6 address no more than are announced at once."""
SOON = 20_000_000
"""All that is said at once is said within so many nanoseconds."""


@dataclass
class Seen:
    """After the expiry, in nanoseconds: instructions."""

    advertised: int
    refused: int
    """The last packet came that was not accepted; 0 if there were none."""
    accepted: int
    """The first one came that was."""
    announced: int
    """The last of all addresses was announced by ARP."""


def is_arp(packet: Packet) -> bool:
    return packet.data[12:14] == b"\x08\x06"


def pinged(packets: list[Packet], kind: int) -> dict[bytes, int]:
    """When a ping passed, by its number: requests have the kind 8, replies 0."""
    return {
        packet.data[42:46]: packet.time
        for packet in packets
        if packet.data[12:14] == b"\x08\x00" and packet.data[23] == 1 and packet.data[34] == kind
    }


def takeover(lan: Lan, run: int, pings: bool, addresses: int) -> Seen:
    time.sleep(2 + run / RUNS)
    capture = lan.b.capture(only="ip proto 112 or arp or icmp")
    time.sleep(1.1)
    lan.hard_cut(lan.a)
    last = [p for p in capture.packets() if not p.outgoing and p.data[23] == c.PROTOCOL][-1].time
    due = last + BOUND
    pinger = None
    if pings:
        time.sleep((due - time.time_ns()) / 1e9 - 0.01)
        # the way to the shared address leads to all ports: no switch must learn it first
        pinger = lan.client.ping(VIP, STEP)
    time.sleep(max(0, (due - time.time_ns()) / 1e9) + 0.03)
    if pinger:
        pinger.stop()
    sent = [p for p in capture.sent() if p.time > last]
    requests, replies = pinged(capture.received(), 8), pinged(sent, 0)
    capture.close()
    advertised = [p.time - due for p in c.heard(sent)]
    announced = [p.time - due for p in sent if is_arp(p) and 0 < p.time - due < SOON]
    refused = [at - due for number, at in requests.items() if number not in replies]
    accepted = [at - due for number, at in requests.items() if number in replies]
    if pings:
        assert len(accepted) > 10 and len(refused) > 10 and max(refused) < min(accepted)
    assert len(announced) >= addresses, f"{len(announced)} of {addresses} addresses announced"
    assert min(advertised) > 0
    lan.heal(lan.a)
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master")
    lan.a.ip("link", "set", "carp0", "up")
    c.wait_state(lan.a, "master")
    c.wait_state(lan.b, "backup")
    return Seen(min(advertised), max(refused, default=0), min(accepted, default=0), max(announced))


def bench(results: Results) -> None:
    group = results.group("takeover", "Takeover, in instructions after the timer expired")
    group.explain(
        "A backup's timer expires 3.390625 s after the last advertisement came to its port, by"
        " packet timestamps; from there to its own first advertisement on the way out, and to the"
        " last of its gratuitous ARP. What it accepts from when on, a client finds out that pings"
        " every 0.1 ms; packets that came later than the last refused one were all accepted."
        f" Median of {RUNS} runs each, with one IPv6 address beside the IPv4 addresses; each"
        " figure holds some 10,000 that the advertisement took to get from the port to the timer."
    )
    rows = ("advertisement sent", "all addresses announced")
    announced = {}
    for count in MORE:
        world = World()
        try:
            lan = Lan(world, 2)
            lan.switch.run("bridge", "link", "set", "dev", "a", "learning", "off")
            lan.switch.run("bridge", "link", "set", "dev", "b", "learning", "off")
            more = tuple(f"10.0.1.{n}/32" for n in range(1, count))
            for host, advskew in ((lan.a, 0), (lan.b, ADVSKEW)):
                host.sysctl("net.inet.carp.preempt", 1)
                c.create(host, advskew=advskew, addresses=(f"{VIP}/24", f"{VIP6}/64", *more))
            c.wait_state(lan.a, "master")
            c.wait_state(lan.b, "backup")
            lan.client.run("ping", "-c", "1", "-W", "1", VIP)
            quiet = [takeover(lan, run, False, count) for run in range(RUNS)]
            column = f"{count} IPv4 address{'es' if count > 1 else ''}"
            group.median(rows[0], column, [seen.advertised for seen in quiet])
            announced[count] = group.median(rows[1], column, [seen.announced for seen in quiet])
            if count == 1:
                busy = [takeover(lan, run, True, count) for run in range(RUNS)]
                refused = max(seen.refused for seen in busy)
                group.add("last packet refused, in all runs", column, refused)
                group.add(
                    "first packet accepted, in all runs", column, min(s.accepted for s in busy)
                )
                worst = max(refused, *(seen.advertised for seen in (*busy, *quiet)))
                group.bar(
                    "takeover with one address of each family: from the expired timer to the"
                    " advertisement sent and packets accepted, at most",
                    f"under {BAR:,} instructions",
                    worst,
                    "instructions",
                    worst < BAR,
                )
        finally:
            world.close()
    each = statistics.mean(
        (announced[b] - announced[a]) / (b - a) for a, b in zip(MORE, MORE[1:], strict=False)
    )
    group.add("each further address", f"{MORE[-1]} IPv4 addresses", each)
