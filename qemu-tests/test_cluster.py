# SPDX-License-Identifier: GPL-2.0
"""Three hosts of different make on one segment: carp.ko, ucarp and a host that speaks as
FreeBSD does. They agree on one master, whoever dies and returns."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.frames import advertisements
from lib.freebsd import FreeBSD
from lib.host import Host
from lib.lan import Lan
from lib.peers import Ucarp

pytestmark = pytest.mark.usefixtures("carp")

SKEWS = (0, 50, 100)
"""Of the hosts a, b and c: a is the best of them."""


@dataclass
class Member:
    """One host of a cluster."""

    host: Host
    state: Callable[[], str]

    def __str__(self) -> str:
        return self.host.name


class Cluster:
    """Hosts that serve one address, from the best to the worst."""

    def __init__(self, lan: Lan, makes: tuple[str, ...]) -> None:
        self.lan = lan
        self.peers: list[Ucarp | FreeBSD | None] = []
        self.members: list[Member] = []
        self._dead: list[Member] = []
        for host, make, advskew in zip(lan.hosts, makes, SKEWS, strict=True):
            self.members.append(Member(host, self._start(host, make, advskew)))
        self.agree(self.members)

    def _start(self, host: Host, make: str, advskew: int) -> Callable[[], str]:
        if make == "ours":
            host.sysctl("net.inet.carp.preempt", 1)
            c.create(host, advskew=advskew)
            self.peers.append(None)
            return lambda: c.state(host)
        peer = (Ucarp if make == "ucarp" else FreeBSD)(host, advskew=advskew)
        self.peers.append(peer)
        return lambda: peer.state

    def agree(self, alive: list[Member], timeout: float = 12) -> None:
        """They come to agree that the first of them is master, and stay so."""
        wanted = {str(member): "backup" for member in alive}
        if alive:
            wanted[str(alive[0])] = "master"

        def states() -> dict[str, str]:
            return {str(member): member.state() for member in alive}

        wait_for(
            lambda: states() == wanted, timeout, f"{wanted} instead of {states()}", interval=0.25
        )
        time.sleep(1.5)
        assert states() == wanted, "and it stays so"

    @property
    def alive(self) -> list[Member]:
        """The best of them first."""
        return [member for member in self.members if member not in self._dead]

    def die(self, member: Member) -> None:
        self.lan.hard_cut(member.host)
        self._dead.append(member)

    def live(self, member: Member) -> None:
        self.lan.heal(member.host)
        self._dead.remove(member)


MIXED = ("ours", "ucarp", "freebsd")


@pytest.mark.parametrize(
    "makes",
    [
        MIXED,
        ("ucarp", "freebsd", "ours"),
        ("freebsd", "ours", "ucarp"),
        ("ours", "ours", "ucarp"),
    ],
    ids="-".join,
)
def test_every_order_of_death_and_return(
    make_lan: Callable[..., Lan], makes: tuple[str, ...]
) -> None:
    """Whoever dies is cut off and goes on by itself, so each return heals a split. Once
    all are dead it does not matter in which order they died."""
    cluster = Cluster(make_lan(3), makes)
    orders = list(itertools.permutations(cluster.members))
    for deaths, returns in zip(orders, orders[2:] + orders[:2], strict=True):
        for change, members in ((cluster.die, deaths), (cluster.live, returns)):
            for member in members:
                change(member)
                cluster.agree(cluster.alive)


def test_one_dies_and_returns_while_another_is_dead(make_lan: Callable[..., Lan]) -> None:
    """Every pair of deaths, and the first returns first."""
    cluster = Cluster(make_lan(3), MIXED)
    for first, second in itertools.permutations(cluster.members, 2):
        for change, member in (
            (cluster.die, first),
            (cluster.die, second),
            (cluster.live, first),
            (cluster.live, second),
        ):
            change(member)
            cluster.agree(cluster.alive)


@pytest.mark.parametrize("makes", [MIXED, ("ours", "freebsd", "ucarp")], ids="-".join)
def test_a_demoted_host_is_left_by_all(
    make_lan: Callable[..., Lan], makes: tuple[str, ...]
) -> None:
    """They read advskew alone; and where we do not say it by that, they do not hear it."""
    cluster = Cluster(make_lan(3), makes)
    ours, *others = cluster.members
    ours.host.run("carpctl", "-g", "carp", "carpdemote", "50")
    cluster.agree([*others, ours])
    ours.host.run("carpctl", "-g", "carp", "-carpdemote", "50")
    cluster.agree(cluster.members)
    ours.host.ip("link", "set", "carp0", "type", "carp", "-demoteskew")
    ours.host.run("carpctl", "-g", "carp", "carpdemote", "50")
    time.sleep(5)
    cluster.agree(cluster.members)


def test_a_demoted_freebsd_is_left(make_lan: Callable[..., Lan]) -> None:
    """It says so by an advskew of 240 and a demotion count of 0."""
    cluster = Cluster(make_lan(3), ("freebsd", "ours", "ucarp"))
    freebsd, ours, ucarp = cluster.members
    peer = cluster.peers[0]
    assert isinstance(peer, FreeBSD)
    wire = ours.host.capture(only="ip proto 112")
    time.sleep(3)
    heard = advertisements(wire.packets(), source=freebsd.host.address)
    counters = [int.from_bytes(it.counter, "big") for it in heard]
    assert len(heard) >= 3 and counters == list(range(counters[0], counters[0] + len(heard)))
    assert {(it.advskew, it.demote, it.tos) for it in heard} == {(0, 0, 0xE0)}
    peer.demote()
    cluster.agree([ours, ucarp, freebsd])
    last = advertisements(wire.packets(), source=freebsd.host.address)[-1]
    assert (last.advskew, last.demote) == (240, 0)
    peer.promote()
    cluster.agree(cluster.members)
    assert c.stats(ours.host)["rx_bad_auth"] == 0
