# SPDX-License-Identifier: GPL-2.0
"""Root of a user namespace, whom anybody can make himself, has carp and pfsync in a
network of his own. He takes neither the machine's processor from there nor its log.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lib import kernel, softirqs
from lib.clock import wait_for
from lib.kmsg import Kmsg
from lib.process import Process, run
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

USER = ("unshare", "--user", "--map-root-user", "--net")
NEEDS = "CAP_NET_ADMIN in the initial user namespace."


class Container:
    """A network namespace that somebody made who is nobody, with an Ethernet device."""

    def __init__(self, world: World) -> None:
        self._process: Process = world.spawn(*USER, "sleep", "10000")
        words = ("nsenter", "-t", str(self._process.pid), "--preserve-credentials", "-U", "-n")
        self.words = words
        wait_for(self._made, 10, "the namespace is there")
        kernel.load("dummy")
        said = self.batch("link add eth0 arp on type dummy", "link set eth0 up")
        assert not said, said

    @property
    def pid(self) -> int:
        return self._process.pid

    def _made(self) -> bool:
        """Whether it is another namespace than ours, and has its root."""
        proc = f"/proc/{self.pid}"
        with open(f"{proc}/uid_map") as f:
            made = bool(f.read())
        return made and os.stat(f"{proc}/ns/net").st_ino != os.stat("/proc/self/ns/net").st_ino

    def ip(self, words: str) -> str:
        """Runs ip(8), and returns what it said was wrong."""
        return run((*self.words, "ip", *words.split()), check=False).stderr.strip()

    def batch(self, *lines: str) -> str:
        """The same for many lines, all of which are tried."""
        text = "".join(f"{line}\n" for line in lines)
        return run((*self.words, "ip", "-force", "-batch", "-"), check=False, input=text).stderr

    def shown(self, *words: str) -> str:
        return run((*self.words, "ip", *words)).stdout


@pytest.fixture
def container(world: World) -> Container:
    return Container(world)


def test_short_intervals(container: Container) -> None:
    refusal = f"Error: an interval below 100 ms needs {NEEDS}"
    for words in ("advbase 0", "advbase 0 advskew 25"):
        assert container.ip(f"link add carp0 type carp vhid 1 carpdev eth0 {words}") == refusal
    fast = "carpnodes 1:30,2:25 advbase 0"
    assert container.ip(f"link add carp0 type carp {fast} carpdev eth0") == refusal
    assert not container.ip("link add carp0 type carp vhid 1 carpdev eth0 advbase 0 advskew 26")
    assert container.ip("link set carp0 type carp advskew 25") == refusal
    assert "advskew 26 " in container.shown("-d", "link", "show", "carp0")


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
    run(("nsenter", "-t", str(container.pid), "-n", "sysctl", "-w", "net.inet.carp.log=7"))
    container.batch(
        "link add carp0 type carp vhid 1 carpdev eth0",
        "addr add 10.0.0.1/24 dev carp0",
        "link set carp0 up",
    )
    time.sleep(6)
    log = Kmsg()
    forced = [f"link set carp0 type carp state {state}" for state in ("backup", "master") * 100]
    container.batch(*forced)
    lines = [line for line in log.read() if "carp0" in line]
    log.close()
    assert 1 <= len(lines) <= 20
    assert {line[0] for line in lines} <= {"6", "7"}
    assert any("state transition" in line for line in lines)


def test_he_asks_for_all(container: Container, figure: Callable[[str, float, str], None]) -> None:
    """For much more than there is: he gets his share, the rest is refused in words, and
    the machine hardly notices."""
    run(("nsenter", "-t", str(container.pid), "-n", "sysctl", "-w", "net.inet.carp.log=7"))
    log = Kmsg()
    addresses = kernel.times(8000)
    with softirqs.watched() as asking:
        fast = [f"link add carp{i} type carp vhid {i} carpdev eth0 advbase 0" for i in range(1, 61)]
        said = container.batch(*fast)
        assert said.count(f"Error: an interval below 100 ms needs {NEEDS}") == 60
        fast = [f"{line} advskew 26" for line in fast]
        fast += [f"link set carp{i} up" for i in range(1, 61)]
        assert not container.batch(*fast)
        said = container.batch(
            *(f"addr add fd00::{i:x}/64 dev carp1" for i in range(1, addresses + 1))
        )
        refused = said.count(f"Error: more than 1000 addresses need {NEEDS}")
        assert refused == max(addresses - 1000, 0)
        said = container.batch(*(f"link set carp1 type carp group g{i}x" for i in range(1000)))
        assert said.count("Error: an interface is in at most 16 groups.") == 985
    adds = [f"addr add 10.0.{i}.1/24 dev carp{i}" for i in range(2, 61)]
    assert not container.batch(*adds)
    time.sleep(10)
    with softirqs.watched() as living:
        time.sleep(5)
    lines = [line for line in log.read() if "carp" in line]
    log.close()
    figure("a container that asks for all: softirqs meanwhile", asking.share, "%")
    figure("a container that asks for all: the longest one", asking.longest / 1e3, "us")
    figure("a container with 60 masters, 10 times a second: softirqs", living.share, "%")
    figure("a container with 60 masters: the longest softirq", living.longest / 1e3, "us")
    figure("a container that asks for all: lines in the log", len(lines), "")
    assert max(asking.share, living.share) < kernel.work(5)
    assert len(lines) <= 20
    assert {line[0] for line in lines} <= {"6", "7"}


def test_an_interface_that_he_was_given(world: World, container: Container) -> None:
    """Faster than his own may be: what it is it may stay, or become slower."""
    host = world.host("host")
    host.ip_batch("link add eth0 arp on type dummy", "link set eth0 up")
    host.ip(*"link add carp0 type carp vhid 1 carpdev eth0 advbase 0 advskew 10".split())
    host.ip("link", "set", "carp0", "netns", str(container.pid))
    assert not container.ip("addr add 10.0.0.1/24 dev carp0")
    assert not container.ip("link set carp0 up")
    change = "link set carp0 type carp"

    def is_now(words: str) -> bool:
        return f" {words} " in container.shown("-d", "link", "show", "carp0")

    wait_for(lambda: is_now("state MASTER"), 5, "it is master")
    refusal = f"Error: an interval below 100 ms needs {NEEDS}"
    for words in ("vhid 2", "pass secret", "advskew 10", "advskew 20"):
        assert not container.ip(f"{change} {words}"), words
    assert is_now("advbase 0 advskew 20")
    assert container.ip(f"{change} advskew 19") == refusal
    assert container.ip(f"{change} carpnodes 2:20,3:10") == refusal
    assert container.ip(f"{change} carpnodes 2:20,3:20") == refusal, "one more of those"
    assert not container.ip(f"{change} carpnodes 2:20,3:26")
    assert not container.ip(f"{change} vhid 2 advskew 20")
    assert is_now("advbase 0 advskew 20")
    wait_for(lambda: is_now("state MASTER"), 5, "it is master again")
    far = "Error: advbase 0: the network namespace of its carpdev is not yours to administer."
    assert container.ip(f"{change} advbase 0") == far
    assert not container.ip(f"{change} advbase 1")
    assert container.ip(f"{change} advbase 0") == far
    assert is_now("advbase 1 advskew 20")


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A memory cgroup of its own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        run(("mount", "-t", "cgroup2", "none", folder))
        (root / "cgroup.subtree_control").write_text("+memory")
        made = root / "somebody"
        made.mkdir()
        yield made
        wait_for(lambda: not (made / "cgroup.procs").read_text(), 5, "nobody is in it")
        made.rmdir()
        run(("umount", folder))


def charged(cgroup: Path) -> int:
    """Bytes of the kernel's memory that are charged to it."""
    lines = (line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    return int(dict(lines)["slab"])


@pytest.mark.stock  # as for test_memory_is_given_back
def test_states_are_charged_to_who_has_them(
    pfsync: None, container: Container, cgroup: Path
) -> None:
    """What pfsync keeps of a connection, as it is told of in softirqs; the administrator's
    own interface is charged to nobody."""
    count = 4000
    joins = ("sh", "-c", 'echo $$ >"$0" && exec "$@"', str(cgroup / "cgroup.procs"))
    enters = container.words
    for command in (
        "ip link add pfsync0 type pfsync syncdev eth0 local",
        "ip addr add 172.16.0.1/24 dev eth0",
        "ip link set pfsync0 up",
    ):
        run((*joins, *enters, *command.split()))
    before = charged(cgroup)
    lines = "".join(
        f"-A -t 600 -u SEEN_REPLY -s 10.9.0.1 -d 192.0.2.9 -r 192.0.2.9 -q 10.9.0.1"
        f" -p udp --sport {1024 + number} --dport 53 --reply-port-src 53"
        f" --reply-port-dst {1024 + number}\n"
        for number in range(count)
    )
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(lines)
        file.flush()
        run((*enters, "conntrack", "-R", file.name))
    wait_for(lambda: charged(cgroup) - before > 200 * count, 10, "they are charged")
    print(f"{(charged(cgroup) - before) / count:.0f} bytes each")
    run((*enters, "conntrack", "-F"))
    wait_for(lambda: charged(cgroup) - before < 20 * count, 10, "and no more")
    # What the limit forbids is not kept, and nobody is harmed by that.
    current = int((cgroup / "memory.current").read_text())
    (cgroup / "memory.max").write_text(str(current + 100 * count))
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(lines)
        file.flush()
        run((*enters, "conntrack", "-R", file.name))
    time.sleep(3)
    shown = json.loads(container.shown("-j", "-d", "link", "show", "pfsync0"))
    states = shown[0]["linkinfo"]["info_data"]["states"]
    print(f"{states} of {count} are kept")
    assert count / 10 < states < count * 9 / 10
    run((*enters, "conntrack", "-F"))
    run((*enters, "ip", "link", "del", "pfsync0"))
