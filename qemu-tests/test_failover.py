# SPDX-License-Identifier: GPL-2.0
"""The set-up of OpenBSD's manual: two firewalls, an external and an internal address that
belong together, and the three ways to have one firewall hand over to the other.

    client ── outside: carp0 on eth0 ── a, b ── inside: carp1 on eth1 ── server

a has advskew 50 and b 100, with preempt. The client pings the server through whoever
holds both addresses, and the external address itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.lan import VIP, Lan
from lib.pinger import longest_gap, lost
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

INSIDE, SERVER = "10.0.1.1", "10.0.1.100"
CARPS = ("carp0", "carp1")
DELAY = ("netem", "delay", "2ms")
NETSTOP = "/usr/lib/carp/netstop"
Figure = Callable[[str, float, str], None]


class Firewalls:
    """Two of them, between two segments."""

    def __init__(self, world: World, outside: Lan) -> None:
        self.outside = outside
        self.a, self.b = outside.hosts
        self.client = outside.client
        self.inside, self.server = world.make_hosts("inside", "server")
        self.inside.ip_batch(
            "link add br0 type bridge forward_delay 0 mcast_snooping 0",
            *(
                f"link add name {host.name} type veth peer name {device} netns {host.name}"
                for host, device in ((self.a, "eth1"), (self.b, "eth1"), (self.server, "eth0"))
            ),
            *(f"link set dev {host.name} master br0 up" for host in (self.a, self.b, self.server)),
            "link set dev br0 up",
        )
        self.server.ip_batch(
            "link set eth0 up",
            f"addr add {SERVER}/24 dev eth0",
            f"route add default via {INSIDE}",
        )
        self.client.ip("route", "add", "10.0.1.0/24", "via", VIP)
        for number, host, advskew in ((2, self.a, 50), (3, self.b, 100)):
            host.ip_batch("link set eth1 up", f"addr add 10.0.1.{number}/24 dev eth1")
            host.settle()
            host.sysctl("net.ipv4.ip_forward", 1)
            host.sysctl("net.inet.carp.preempt", 1)
            c.create(host, advskew=advskew)
            c.create(
                host, advskew=advskew, vhid=2, name="carp1", carpdev="eth1",
                addresses=(f"{INSIDE}/24",), password="other",
            )  # fmt: skip
        self.wait(self.a)

    def wait(self, master: Host, timeout: float = 10, names: tuple[str, ...] = CARPS) -> None:
        """Waits until one of the two is master, and the other is not."""
        other = self.b if master is self.a else self.a
        for name in names:
            c.wait_state(master, "master", timeout, name)
            wait_for(
                lambda name=name: c.state(other, name) != "master", 3, f"{name} on {other} is none"
            )

    @contextmanager
    def watched(self, interval: float = 0.001) -> Iterator[dict[str, float]]:
        """Pings through both, and the outer address; notes what was lost and how long it
        was gone."""
        pingers = {
            "through": self.client.ping(SERVER, interval),
            "outer": self.client.ping(VIP, interval),
        }
        for pinger in pingers.values():
            pinger.interrupt()
        time.sleep(0.05)
        noted: dict[str, float] = {}
        yield noted
        time.sleep(0.05)
        for what, pinger in pingers.items():
            pings = pinger.stop()
            noted[f"{what} sent"] = len(pings)
            noted[f"{what} lost"] = len(lost(pings))
            noted[f"{what} outage"] = longest_gap(pings).seconds

    def carpdemote(self, words: str) -> None:
        self.a.run("carpctl", *f"-g carp {words}".split())

    def configure(self, words: str) -> None:
        """Says the same of both interfaces of a."""
        self.a.ip_batch(*(f"link set {name} {words}" for name in CARPS))

    def slow_down(self) -> None:
        """Each frame is on its way to and from the firewalls for 2 ms."""
        for host in (self.a, self.b):
            for name in ("eth0", "eth1"):
                host.run("tc", "qdisc", "add", "dev", name, "root", *DELAY)
        for switch in (self.outside.switch, self.inside):
            for name in ("a", "b"):
                switch.run("tc", "qdisc", "add", "dev", name, "root", *DELAY)

    def wait_left(self) -> None:
        """Waits until b has both, and a is gone or set down."""
        for name in CARPS:
            c.wait_state(self.b, "master", 3, name)

    def pull(self, number: int) -> None:
        """Pulls a's cable."""
        (self.outside.switch, self.inside)[number].ip("link", "set", "dev", "a", "down")

    def plug(self, number: int) -> None:
        (self.outside.switch, self.inside)[number].ip("link", "set", "dev", "a", "up")


@contextmanager
def hostname_files() -> Iterator[None]:
    """The interfaces are the service's."""
    files = [Path("/etc") / f"hostname.{name}" for name in CARPS]
    for file in files:
        file.touch()
    try:
        yield
    finally:
        for file in files:
            file.unlink()


@pytest.fixture
def firewalls(world: World, lan: Lan) -> Firewalls:
    return Firewalls(world, lan)


def nothing_lost(noted: dict[str, float]) -> None:
    assert noted["through sent"] > 50 and noted["outer sent"] > 50
    assert (noted["through lost"], noted["outer lost"]) == (0, 0), noted


@pytest.mark.parametrize(
    "away, back",
    [
        (lambda f: f.carpdemote("carpdemote 50"), lambda f: f.carpdemote("-carpdemote 50")),
        (
            lambda f: f.configure("type carp advskew 254"),
            lambda f: f.configure("type carp advskew 50"),
        ),
        (lambda f: f.configure("down"), lambda f: f.configure("up")),
    ],
    ids=["carpdemote", "advskew", "down"],
)
def test_both_are_handed_over(
    firewalls: Firewalls,
    away: Callable[[Firewalls], None],
    back: Callable[[Firewalls], None],
    figure: Figure,
) -> None:
    """To b and back to a, with no ping lost."""
    for change, master in ((away, firewalls.b), (back, firewalls.a)):
        with firewalls.watched() as noted:
            change(firewalls)
            firewalls.wait(master)
        nothing_lost(noted)
    figure("firewalls handed over: pings lost", noted["through lost"], "")


@pytest.mark.parametrize("keep", [True, False], ids=["shutdown", "stop"])
def test_the_service_hands_over_before_it_stops(firewalls: Firewalls, keep: bool) -> None:
    """On links that take their time, an interface that is set down loses what is on the way:
    so that comes when the others have taken over."""
    firewalls.slow_down()
    with hostname_files(), firewalls.watched() as noted:
        firewalls.a.run(NETSTOP, *(["--keep"] if keep else []))
        firewalls.wait_left()
    nothing_lost(noted)
    assert ("carp0" in firewalls.a.ip("link", "show")) == keep
    if keep:
        # a host that goes on all the same is not left behind demoted
        with firewalls.watched() as noted:
            firewalls.configure("up")
            firewalls.wait(firewalls.a)
        nothing_lost(noted)


def test_the_service_stops_where_nobody_takes_over(firewalls: Firewalls) -> None:
    for name in CARPS:
        firewalls.b.ip("link", "set", name, "down")
    before = time.monotonic()
    with hostname_files():
        for host in (firewalls.b, firewalls.a):
            done = host.run(NETSTOP)
            assert (done.stdout, done.stderr) == ("", "")
    assert time.monotonic() - before < 2
    assert not firewalls.a.ip("link", "show", "type", "carp")


@pytest.mark.parametrize("words", ["type carp advskew 254", "down"])
def test_one_is_handed_over(firewalls: Firewalls, words: str) -> None:
    """What is said of one interface is meant for that one: the other stays."""
    with firewalls.watched() as noted:
        firewalls.a.ip("link", "set", "carp0", *words.split())
        firewalls.wait(firewalls.b, names=("carp0",))
        assert c.state(firewalls.a, "carp1") == "master"
    nothing_lost(noted)


@pytest.mark.parametrize("device, number", [("eth0", 0), ("eth1", 1)])
def test_a_physical_interface_is_set_down(firewalls: Firewalls, device: str, number: int) -> None:
    """Both go, and before the device does, which takes it a while: one says that the host is
    demoted and then the other farewell. What is on its way to the device in that moment goes
    with it: of each sender's five pings a millisecond, one at most."""
    other = firewalls.a.capture(f"eth{1 - number}", only="ip proto 112")
    with firewalls.watched(0.0002) as noted:
        firewalls.a.ip("link", "set", device, "down")
        firewalls.wait(firewalls.b, timeout=0.2)
    assert noted["through sent"] > 50 and noted["outer sent"] > 50
    assert noted["through lost"] <= 1 and noted["outer lost"] <= 1, noted
    assert [c.state(firewalls.a, name) for name in CARPS].count("init") == 1
    said = c.heard(other.sent())[-1]
    assert (said.demote, said.advskew) == (1, 240 + 50 // 17)
    with firewalls.watched() as noted:
        firewalls.a.ip("link", "set", device, "up")
        firewalls.wait(firewalls.a)
    nothing_lost(noted)


@pytest.mark.parametrize("number", [0, 1])
def test_a_cable_is_pulled(firewalls: Firewalls, number: int, figure: Figure) -> None:
    """Nobody can say farewell where it was, so that address is back after b's timeout;
    the other is handed over as soon as the host knows. Both come back without loss."""
    with firewalls.watched(0.005) as noted:
        firewalls.pull(number)
        firewalls.wait(firewalls.b, timeout=1, names=(CARPS[1 - number],))
        firewalls.wait(firewalls.b, timeout=5)
    for what in ("through", "outer"):
        figure(f"firewalls, cable {number} pulled: {what} outage", noted[f"{what} outage"], "s")
    assert noted["through outage"] <= 3 + 100 / 256 + 0.01
    if number == 1:
        assert noted["outer lost"] == 0
    # ARP on a is given its time to find out that nobody answers: an address that it still
    # waits for when the cable is back would cost a second more
    time.sleep(3)
    with firewalls.watched() as noted:
        firewalls.plug(number)
        firewalls.wait(firewalls.a)
    nothing_lost(noted)


def test_without_preempt_the_other_is_handed_over_too(firewalls: Firewalls) -> None:
    """A demoted master is left by whoever is less demoted; only the way back needs
    preempt."""
    for host in (firewalls.a, firewalls.b):
        host.sysctl("net.inet.carp.preempt", 0)
    firewalls.a.ip("link", "set", "eth1", "down")
    firewalls.wait(firewalls.b, timeout=0.2)
    firewalls.a.ip("link", "set", "eth1", "up")
    time.sleep(5)
    firewalls.wait(firewalls.b)


def test_both_lose_an_interface(firewalls: Firewalls) -> None:
    """a the inner one, b the outer one: who is there at all serves, and with the same
    demotion a is again the better one where both are."""
    firewalls.a.ip("link", "set", "eth1", "down")
    firewalls.wait(firewalls.b)
    firewalls.b.ip("link", "set", "eth0", "down")
    c.wait_state(firewalls.a, "master", name="carp0")
    assert c.state(firewalls.b, "carp1") == "master"
    firewalls.a.ip("link", "set", "eth1", "up")
    firewalls.wait(firewalls.a)
    firewalls.b.ip("link", "set", "eth0", "up")
    time.sleep(5)
    firewalls.wait(firewalls.a)
