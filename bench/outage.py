# SPDX-License-Identifier: GPL-2.0
"""How long the address is gone when its master dies, and when it hands over."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lib import carp as c
from lib.capture import Packet
from lib.clock import wait_for
from lib.host import Host
from lib.lan import VIP, Lan
from lib.pinger import Ping, longest_gap, lost
from lib.world import World

from bench.peers import Carp, Keepalived, Peer, Ucarp, Virtual, masters
from bench.results import Group, Results

RUNS = 50
ONE = (Virtual("eth0", 1, VIP),)
MILLISECOND = 1e-3


@dataclass(frozen=True)
class Case:
    """Two hosts of a kind."""

    peer: type[Peer]
    interval: float
    column: str


def cases() -> tuple[Case, ...]:
    return (
        Case(Carp, 1, "carp, 1 s"),
        Case(Ucarp, 1, "ucarp, 1 s"),
        Case(Keepalived, 1, "keepalived, 1 s"),
        Case(Carp, 1 / 256, "carp, 1/256 s"),
        Case(Keepalived, 0.01, "keepalived, 1/100 s"),
    )


@dataclass
class Seen:
    """What the runs of a case have shown."""

    gaps: list[float] = field(default_factory=list)
    """The client's longest times without a reply, in seconds."""
    lost: int = 0
    """Pings without a reply."""
    silences: list[float] = field(default_factory=list)
    """From the dead master's last advertisement to the first of the other."""

    def note(self, pings: list[Ping]) -> None:
        self.gaps.append(longest_gap(pings).seconds)
        self.lost += len(lost(pings))


def percentile(values: list[float], percent: float) -> float:
    """The least value that so many percent do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def show(group: Group, what: str, column: str, seen: Seen) -> None:
    values = [gap / MILLISECOND for gap in seen.gaps]
    for name, value in (
        ("minimum", min(values)),
        ("median", percentile(values, 50)),
        ("99th percentile", percentile(values, 99)),
        ("maximum", max(values)),
    ):
        group.add(f"{what}, {name}", column, value, "ms")


class Trial:
    """a is preferred and master, b its backup, a client pings."""

    def __init__(self, world: World, case: Case) -> None:
        self.case = case
        self.lan = Lan(world, 2)
        self.a, self.b = self.lan.hosts
        for host in self.lan.hosts:
            host.sysctl("net.inet.carp.preempt", 1)
        self.first = case.peer(self.a, ONE, rank=0, interval=case.interval)
        self.wait(self.a, 1)
        self.second = case.peer(self.b, ONE, rank=1, interval=case.interval)
        self.settle()

    def wait(self, host: Host, wanted: int) -> None:
        wait_for(
            lambda: masters(host, ONE) == wanted,
            30,
            f"{self.case.column}: {host} is {'master' if wanted else 'backup'}",
            interval=0.1,
        )

    def settle(self) -> None:
        """Waits until a is master and b is not, and the client knows."""
        self.wait(self.a, 1)
        self.wait(self.b, 0)
        self.lan.client.ip("neigh", "flush", "dev", "eth0")
        self.lan.client.run("ping", "-c", "1", "-W", "1", VIP)

    @property
    def patience(self) -> float:
        """How long a backup may wait, at most."""
        return max(3.2 * self.case.interval + 1.1 * (self.case.interval >= 1), 0.2)

    @property
    def step(self) -> float:
        """Between two pings: each costs the host time, and few show seconds as well."""
        return 5 * MILLISECOND if self.case.interval >= 1 else MILLISECOND

    def cut(self, run: int, seen: Seen) -> None:
        """a is cut off at another moment of its interval each time."""
        time.sleep(self.case.interval * (1 + run / RUNS))
        capture = self.lan.client.capture(only="ip proto 112")
        time.sleep(1.1 * self.case.interval)
        pinger = self.lan.client.ping(VIP, self.step)
        time.sleep(0.03)
        self.lan.hard_cut(self.a)
        time.sleep(self.patience)
        seen.note(pinger.stop())
        seen.silences.append(silence(capture.packets()))
        capture.close()
        assert masters(self.b, ONE) == 1, f"{self.case.column}: b did not take over"
        self.lan.heal(self.a)
        self.settle()

    def hand_over(self, act: Callable[[], object], back: Callable[[], object], seen: Seen) -> None:
        pinger = self.lan.client.ping(VIP)
        time.sleep(0.03)
        act()
        time.sleep(0.2)
        self.wait(self.b, 1)
        time.sleep(0.05)
        seen.note(pinger.stop())
        back()
        time.sleep(1 + 2 * self.case.interval)
        self.settle()


def silence(packets: list[Packet]) -> float:
    """The longest time between two advertisements."""
    times = [packet.time for packet in packets]
    return max(b - a for a, b in itertools.pairwise(times)) / 1e9


def bench(results: Results) -> None:
    group = results.group("outage", "Outage at a client")
    group.explain(
        "Two hosts and a client on a bridge; the client pings the shared address every"
        " millisecond, every 5 ms for a hard cut with an interval of a second. The outage is its"
        f" longest time between two replies; {RUNS} runs each."
        " Hard cut: the master's port stops forwarding while its carrier stays, at another moment"
        " of the interval in each run, so the last advertisement is up to an interval old. With"
        " an interval of a second backups wait for 3.04 s after it. Handed over: the master is"
        " told to stop (ip link set carp0 down; SIGTERM); two replies are 1 ms apart without any"
        " outage. ucarp says nothing when it stops."
    )
    group.explain(
        "The shortest intervals: carp advbase 0 with advskew 1, and 2 on the backup, which waits"
        " for three times that; keepalived's 0.01 s, of which its backup waits for three;"
        " ucarp has whole seconds."
    )
    for case in cases():
        world = World()
        try:
            trial = Trial(world, case)
            hard = Seen()
            for run in range(RUNS):
                trial.cut(run, hard)
            show(group, "hard cut", case.column, hard)
            if case.peer is Carp:
                bars(group, trial, hard)
            polite = Seen()
            for _ in range(RUNS):
                trial.hand_over(trial.first.leave, trial.first.again, polite)
            show(group, "handed over", case.column, polite)
            group.add("handed over, pings lost in all runs", case.column, polite.lost)
            if case.peer is Carp:
                demoted = Seen()
                for _ in range(RUNS):
                    trial.hand_over(
                        lambda trial=trial: trial.a.run(
                            "carpctl", "-g", "carp", "carpdemote", "50"
                        ),
                        lambda trial=trial: trial.a.run(
                            "carpctl", "-g", "carp", "-carpdemote", "50"
                        ),
                        demoted,
                    )
                group.bar(
                    f"{case.column}: pings lost in {2 * RUNS} handovers, half by carpdemote",
                    "none at one a millisecond",
                    polite.lost + demoted.lost,
                    "",
                    polite.lost + demoted.lost == 0,
                )
        finally:
            world.close()


def bars(group: Group, trial: Trial, seen: Seen) -> None:
    info = c.info(trial.b)
    bound = 3 * info["advbase"] + info["advskew"] / 256 * (1 if info["advbase"] else 3)
    over = [(silence - bound) / MILLISECOND for silence in seen.silences]
    group.bar(
        f"{trial.case.column}: silence over the protocol's bound of {bound * 1000:.0f} ms, at most",
        "at most 1 ms for one virtual host",
        max(over),
        "ms",
        -0.01 < min(over) and max(over) <= 1,
    )
