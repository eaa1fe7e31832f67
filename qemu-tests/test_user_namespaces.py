# SPDX-License-Identifier: GPL-2.0
"""Root of a user namespace, whom anybody can make himself, has carp in a network of his
own. He takes neither the machine's processor from there nor its log.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from lib import kernel
from lib.clock import wait_for
from lib.kmsg import Kmsg
from lib.process import Process, run
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

USER = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "-Urn")
NEEDS = "CAP_NET_ADMIN in the initial user namespace."


class Container:
    """A network namespace that somebody made who is nobody, with an Ethernet device."""

    def __init__(self, world: World) -> None:
        self._process: Process = world.spawn(*USER, "sleep", "10000")
        words = ("nsenter", "-t", str(self._process.pid), "--preserve-credentials", "-U", "-n")
        self._words = words
        wait_for(lambda: self._made(), 10, "the namespace is there")
        self.batch("link add eth0 arp on type dummy", "link set eth0 up")

    def _made(self) -> bool:
        """Whether it is another namespace than ours."""
        done = run((*self._words, "ip", "-br", "link"), check=False)
        return done.returncode == 0 and done.stdout.count("\n") == 1

    def ip(self, words: str) -> str:
        """Runs ip(8), and returns what it said was wrong."""
        return run((*self._words, "ip", *words.split()), check=False).stderr.strip()

    def batch(self, *lines: str) -> str:
        """The same for many lines, all of which are tried."""
        text = "".join(f"{line}\n" for line in lines)
        return run(
            (*self._words, "ip", "-force", "-batch", "-"), check=False, input=text
        ).stderr

    def shown(self, *words: str) -> str:
        return run((*self._words, "ip", *words)).stdout


@pytest.fixture
def container(world: World) -> Container:
    return Container(world)


def test_short_intervals(container: Container) -> None:
    refusal = f"Error: an interval below 100 ms needs {NEEDS}"
    for words in ("advbase 0", "advbase 0 advskew 25"):
        assert container.ip(f"link add carp0 type carp vhid 1 carpdev eth0 {words}") == refusal
    fast = "carpnodes 1:30,2:25 advbase 0"
    assert container.ip(f"link add carp0 type carp {fast} carpdev eth0") == refusal
    assert not container.ip(
        "link add carp0 type carp vhid 1 carpdev eth0 advbase 0 advskew 26"
    )
    assert container.ip("link set carp0 type carp advskew 25") == refusal
    assert "advskew 26 " in container.shown("-d", "link", "show", "carp0")


def test_what_an_interface_is_it_may_stay(container: Container) -> None:
    """One that the machine's administrator has made is changed in other ways."""
    pid = str(container._process.pid)
    run(("ip", "link", "add", "carp9", "type", "carp", "vhid", "9", "advbase", "0"))
    run(("ip", "link", "set", "carp9", "netns", pid))
    assert not container.ip("link set carp9 type carp carpdev eth0 pass other")
    assert not container.ip("link set carp9 type carp advskew 1")
    assert "100 ms" in container.ip("link set carp9 type carp advskew 0")


def test_hundreds_of_virtual_hosts(container: Container) -> None:
    nodes = [",".join(f"{32 * i + j}:0" for j in range(1, 33)) for i in range(4)]
    for number, list_ in enumerate(nodes):
        assert not container.ip(f"link add carp{number} type carp carpnodes {list_} carpdev eth0")
    refusal = f"Error: more than 128 virtual hosts need {NEEDS}"
    one_more = "link add carp9 type carp vhid 200 carpdev eth0"
    assert container.ip(one_more) == refusal
    assert container.ip("link set carp0 type carp vhid 1") == ""
    assert not container.ip(one_more)
    assert not container.ip("link del carp1")
    assert not container.ip(f"link set carp0 type carp carpnodes {nodes[0]}")
    assert container.ip(f"link add carp1 type carp carpnodes {nodes[1]} carpdev eth0") == refusal


def test_thousands_of_addresses(container: Container) -> None:
    container.ip("link add carp0 type carp vhid 1 carpdev eth0")
    adds = [f"addr add fd00::{number:x}/64 dev carp0" for number in range(1, 501)]
    adds += [f"addr add 10.1.{number // 250}.{number % 250}/32 dev carp0" for number in range(500)]
    assert not container.batch(*adds)
    refusal = f"Error: more than 1000 addresses need {NEEDS}"
    for address in ("10.2.0.1/32", "fd00:1::1/64"):
        assert container.ip(f"addr add {address} dev carp0") == refusal
    assert not container.ip("addr del 10.1.0.9/32 dev carp0")
    assert not container.ip("addr add 10.2.0.1/32 dev carp0")


def test_many_groups(container: Container) -> None:
    """For everybody: the first is "carp"."""
    container.ip("link add carp0 type carp vhid 1 carpdev eth0")
    words = [f"link set carp0 type carp group g{number}x" for number in range(15)]
    assert not container.batch(*words)
    more = "link set carp0 type carp group"
    assert container.ip(f"{more} more") == "Error: an interface is in at most 16 groups."
    assert not container.ip(f"{more} g0x"), "it is in that one already"
    assert not container.ip("link set carp0 type carp -group g0x")
    assert not container.ip(f"{more} more")


def test_the_log(container: Container) -> None:
    """A few lines of those that he causes, none of them urgent."""
    run(("nsenter", "-t", str(container._process.pid), "-n", "sysctl", "-w", "net.inet.carp.log=7"))
    container.batch(
        "link add carp0 type carp vhid 1 carpdev eth0",
        "addr add 10.0.0.1/24 dev carp0",
        "link set carp0 up",
    )
    time.sleep(6)
    log = Kmsg()
    forced = [
        f"link set carp0 type carp state {state}" for state in ("backup", "master") * 100
    ]
    container.batch(*forced)
    lines = [line for line in log.read() if "carp0" in line]
    log.close()
    assert 1 <= len(lines) <= 20
    assert {line[0] for line in lines} <= {"6", "7"}
    assert any("state transition" in line for line in lines)


def test_all_that_he_can(container: Container, figure: Callable[[str, float, str], None]) -> None:
    """Sixty interfaces with advbase 0, thousands of addresses and groups: what is not
    refused costs the machine next to nothing."""
    log = Kmsg()
    lines = []
    for number in range(60):
        name = f"carp{number}"
        lines += [
            f"link add {name} type carp vhid {number + 1} carpdev eth0 advbase 0",
            f"link add {name} type carp vhid {number + 1} carpdev eth0 advbase 0 advskew 26",
            f"addr add 10.0.{number}.1/24 dev {name}",
            f"link set {name} up",
        ]
    lines += [f"link set carp0 type carp group {chr(97 + n % 26)}{n}g" for n in range(1000)]
    lines += [f"addr add fd00::{n:x}/64 dev carp1" for n in range(1, kernel.times(8000) + 1)]
    begin = time.monotonic()
    said = container.batch(*lines)
    figure("60 interfaces, 1,000 groups, 8,000 addresses: asked for in", time.monotonic() - begin, "s")
    assert said.count("below 100 ms needs CAP_NET_ADMIN") == 60
    assert said.count("at most 16 groups") == 1000 - 15
    if kernel.times(8000) == 8000:
        assert said.count("more than 1000 addresses need CAP_NET_ADMIN") == 8000 - 999
    time.sleep(5)
    before, at = softirqs(), time.monotonic()
    time.sleep(20)
    share = (softirqs() - before) / (time.monotonic() - at)
    figure("the same: share of a processor in softirqs", share * 100, "%")
    assert share < 0.1
    lines = [line for line in log.read() if "carp" in line]
    log.close()
    assert len(lines) <= 120
    assert {line[0] for line in lines} <= {"6", "7"}


def softirqs() -> float:
    """Seconds that processors have been in softirqs."""
    with open("/proc/stat") as f:
        return int(f.readline().split()[7]) / 100
