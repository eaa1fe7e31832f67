# SPDX-License-Identifier: GPL-2.0
"""Groups and demotion: who is in which group, what a counter does, and what demotes an
interface by itself. What hosts make of it is in test_failover.py."""

from __future__ import annotations

import re
import string
import time

import pytest
from lib import carp as c
from lib import kernel
from lib.clock import MILLISECOND, wait_for
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import VIP, Lan
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

FAST = "advbase 0"
"""With advskew 1: an advertisement every 1/256 s, so that tests see quickly what is said."""


@pytest.fixture
def host(host: Host) -> Host:
    """Both interfaces have an address."""
    host.ip("addr", "add", "10.0.1.2/24", "dev", "eth1")
    return host


@pytest.fixture
def masters(host: Host) -> Host:
    """The host is master on carp0 and carp1, one on each interface."""
    c.create(host, FAST, advskew=1)
    c.create(
        host, FAST, advskew=1, vhid=2, name="carp1", carpdev="eth1", addresses=("10.0.1.1/24",)
    )
    for name in ("carp0", "carp1"):
        c.wait_state(host, "master", name=name)
    return host


def change(host: Host, words: str, name: str = "carp0") -> None:
    host.ip("link", "set", name, "type", "carp", *words.split())


def groups(host: Host, name: str = "carp0") -> list[str]:
    return c.info(host, name)["groups"]


def demote(host: Host, name: str = "carp0") -> int:
    return c.info(host, name)["demote"]


def carpctl(host: Host, line: str) -> str:
    return host.run("carpctl", *line.split()).stdout


def counter(host: Host, group: str) -> int:
    """What carpctl -g shows."""
    shown = carpctl(host, f"-g {group}")
    found = re.match(rf"{group}: carp demote count (\d+)\n", shown)
    assert found, shown
    return int(found[1])


def said(host: Host, device: str = "eth0") -> c.Heard:
    """The next advertisement on a device."""
    capture = host.capture(device, only="ip proto 112")
    wait_for(lambda: capture.sent(), 5, f"an advertisement on {device}")
    return c.heard(capture.sent())[0]


PEER = "carppeer 10.0.0.77"
"""Whom refuse_to_send keeps from hearing anything."""


def refuse_to_send(host: Host) -> None:
    """The host's own firewall takes what is for a peer, so that cannot be sent."""
    host.ip("neigh", "replace", "10.0.0.77", "lladdr", "02:00:00:00:00:77", "dev", "eth0")
    host.run("nft", "add table ip t; add chain ip t out { type filter hook output priority 0; }")
    host.run("nft", "add rule ip t out meta l4proto 112 drop")


def send_again(host: Host) -> None:
    host.run("nft", "delete table ip t")


# -- names and members


def test_every_interface_begins_in_carp(host: Host) -> None:
    host.ip("link", "add", "carp0", "type", "carp")
    assert groups(host) == ["carp"]
    assert counter(host, "carp") == 0
    assert "groups carp " in host.ip("-d", "link", "show", "carp0")


def test_join_and_leave(host: Host) -> None:
    host.ip("link", "add", "carp0", "type", "carp", "group", "first")
    change(host, "group second")
    assert groups(host) == ["carp", "first", "second"]
    change(host, "group first")
    assert groups(host) == ["carp", "first", "second"], "it is in it already: no mistake"
    change(host, "-group carp")
    change(host, "group third -group first")
    assert groups(host) == ["second", "third"]
    assert "groups second,third " in host.ip("-d", "link", "show", "carp0")
    change(host, "-group second")
    change(host, "-group third")
    assert groups(host) == []
    assert "groups" not in host.ip("-d", "link", "show", "carp0")
    carpctl(host, "carp0 group carp group x group y")
    carpctl(host, "carp0 -group x -group carp")
    assert groups(host) == ["y"]
    assert carpctl(host, "y") == carpctl(host, "carp0"), "a group's name shows its members"


@pytest.mark.parametrize("name", ["a", "x" * 15, "all", "a1b", "ext-if", "carp0.a", "\xfc"])
def test_names(host: Host, name: str) -> None:
    host.ip("link", "add", "carp0", "type", "carp")
    if name.isascii():
        change(host, f"group {name}")
        assert groups(host) == ["carp", name]
    else:
        host.refused("ip", *f"link set carp0 type carp group {name}".split())


@pytest.mark.parametrize(
    "words, sentence",
    [
        ("group a1", "a group's name has 1-15 characters, the last one no digit"),
        ("group carp0", "a group's name has 1-15 characters, the last one no digit"),
        ("group a/b", "a group's name has 1-15 characters, the last one no digit"),
        ("group a group b", "one group after the other"),
        (f"group {'x' * 16}", "a name of 1-15 characters"),
        ("-group other", "carp0 is not in group other"),
        # what else the command says does not happen either
        ("group new -group other", "carp0 is not in group other"),
        ("group new advskew 9 carpdev eth1 vhid 2", "vhid 2 is in use on eth1 already"),
    ],
)
def test_what_cannot_be(masters: Host, words: str, sentence: str) -> None:
    told = masters.refused("ip", *f"link set carp0 type carp {words}".split())
    assert sentence in told
    assert "no carp interface is in a group new" in masters.refused("carpctl", "-g", "new")


def test_the_last_member_takes_the_group_along(host: Host) -> None:
    host.ip_batch("link add carp0 type carp group x", "link add carp1 type carp group x")
    carpctl(host, "-g x carpdemote 5")
    change(host, "-group x")
    assert counter(host, "x") == 5
    host.ip("link", "del", "carp1")
    assert "no carp interface is in a group x" in host.refused("carpctl", "-g", "x")
    change(host, "group x")
    assert counter(host, "x") == 0, "it is another one of the same name"


def test_each_namespace_has_its_own(world: World) -> None:
    a, b = world.make_hosts("a", "b")
    for each in (a, b):
        each.ip("link", "add", "carp0", "type", "carp")
    carpctl(a, "-g carp carpdemote 7")
    assert (demote(a), demote(b)) == (7, 0)
    assert (counter(a, "carp"), counter(b, "carp")) == (7, 0)


# -- the administrator's counters


def test_carpdemote(host: Host) -> None:
    host.ip("link", "add", "carp0", "type", "carp")
    for step, count in (("", 1), ("50", 51), ("128", 179), ("76", 255)):
        assert carpctl(host, f"-g carp carpdemote {step}") == ""
        assert counter(host, "carp") == demote(host) == count
    for step, count in (("", 254), ("126", 128), ("128", 0)):
        assert carpctl(host, f"-g carp -carpdemote {step}") == ""
        assert counter(host, "carp") == demote(host) == count


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("-g carp -carpdemote 11", "carp: carpdemote has added less than that"),
        ("-g big carpdemote 128", "big: the demotion counter must stay between 0 and 255"),
        ("-g carp carpdemote 129", "a number of 1-128 is expected"),
        ("-g carp carpdemote 0", "a number of 1-128 is expected"),
        ("-g nope carpdemote", "nope: no carp interface is in a group nope"),
        ("-g carp0", "carp0"),
    ],
)
def test_carpdemote_refused(host: Host, line: str, sentence: str) -> None:
    host.ip("link", "add", "carp0", "type", "carp", "group", "big")
    for step in ("carp carpdemote 10", "big carpdemote 128", "big carpdemote 1"):
        carpctl(host, f"-g {step}")
    assert sentence in host.refused("carpctl", *line.split())
    assert (counter(host, "carp"), counter(host, "big")) == (10, 129)


def test_a_user_may_look_only(host: Host) -> None:
    host.ip("link", "add", "carp0", "type", "carp")
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert host.run(*user, "carpctl", "-g", "carp").stdout == "carp: carp demote count 0\n"
    told = host.refused(*user, "carpctl", "-g", "carp", "carpdemote")
    assert "Operation not permitted" in told


def test_an_interface_adds_its_groups_up(masters: Host) -> None:
    """At most 255, and every member counts its own groups only."""
    change(masters, "group x")
    change(masters, "group y")
    for line in ("x carpdemote 2", "y carpdemote 3", "carp carpdemote 1"):
        carpctl(masters, f"-g {line}")
    assert (demote(masters), demote(masters, "carp1")) == (6, 1)
    assert (said(masters).demote, said(masters, "eth1").demote) == (6, 1)
    carpctl(masters, "-g x carpdemote 128")
    carpctl(masters, "-g y carpdemote 128")
    assert demote(masters) == said(masters).demote == 255
    change(masters, "-group y")
    assert demote(masters) == said(masters).demote == 131


def test_the_group_all_is_the_administrators_alone(masters: Host) -> None:
    """Automatic demotion leaves it as it is."""
    change(masters, "group all")
    masters.ip("link", "set", "eth0", "down")
    assert (counter(masters, "carp"), counter(masters, "all")) == (1, 0)
    carpctl(masters, "-g all carpdemote 3")
    assert demote(masters) == 4
    change(masters, "-group all")
    assert demote(masters) == 1


def slow(host: Host, words: str = "") -> None:
    """The host is master on carp0 and carp1, and has nothing to say for a while."""
    for number in (0, 1):
        c.create(
            host, words, vhid=1 + number, name=f"carp{number}", carpdev=f"eth{number}",
            addresses=(f"10.0.{number}.1/24",),
        )  # fmt: skip
    for name in ("carp0", "carp1"):
        host.ip("link", "set", name, "type", "carp", "state", "master", "advbase", "60")


def test_a_step_up_is_told_at_once(host: Host) -> None:
    """By the group's own masters, every time; a step down waits."""
    slow(host)
    change(host, "group x")
    zero, one = (host.capture(device, only="ip proto 112") for device in ("eth0", "eth1"))
    for line, ours, others in (
        ("x carpdemote 2", [2], []),
        ("x carpdemote 3", [5], []),
        ("x -carpdemote 5", [], []),
        ("carp carpdemote", [1], [1]),
    ):
        before = len(zero.sent()), len(one.sent())
        carpctl(host, f"-g {line}")
        told = [
            [packet.demote for packet in c.heard(capture.sent())[skip:]]
            for capture, skip in zip((zero, one), before, strict=True)
        ]
        assert told == [ours, others], line


def test_a_first_demotion_by_itself_is_told_by_all_masters(host: Host) -> None:
    """Whatever their groups: a counter leaves 0, so the host is not well any more."""
    slow(host)
    host.ip_batch(
        "link set carp0 type carp group x -group carp",
        "link add carp2 type carp vhid 3 carpdev eth0 group y",
        "link set carp2 type carp -group carp",
    )
    capture = host.capture("eth1", only="ip proto 112")
    host.ip("link", "set", "eth0", "down")
    assert [packet.demote for packet in c.heard(capture.sent())] == [0], "once for x and y"
    assert counter(host, "carp") == 0
    change(host, "group carp")
    assert [packet.demote for packet in c.heard(capture.sent())][1:] == [1]


# -- own demotion: the parent


def test_the_parents_loss_demotes(masters: Host, log: Kmsg) -> None:
    """The interface's groups count it, and it goes by itself."""
    quiet(masters, 3)
    change(masters, "group x")
    masters.ip("link", "set", "eth0", "down")
    assert c.state(masters) == "init"
    assert [counter(masters, group) for group in ("carp", "x")] == [1, 1]
    assert (demote(masters), demote(masters, "carp1")) == (2, 1)
    assert said(masters, "eth1").demote == 1
    masters.ip("link", "set", "eth0", "up")
    assert [counter(masters, group) for group in ("carp", "x")] == [0, 0]
    assert demote(masters) == demote(masters, "carp1") == 0
    c.wait_state(masters, "master")
    assert demoted(log) == [
        "3: carp: carp0 demoted group carp by 1 to 1 (link:eth0)",
        "3: carp: carp0 demoted group x by 1 to 1 (link:eth0)",
        "3: carp: carp0 demoted group carp by -1 to 0 (link:eth0)",
        "3: carp: carp0 demoted group x by -1 to 0 (link:eth0)",
    ]


def test_many_lose_a_parent_and_the_rest_says_so_once(lan: Lan, log: Kmsg) -> None:
    """Those on it say farewell, and not first that they are demoted."""
    host = lan.a
    quiet(host, 3)
    host.ip_batch(
        "link add eth1 arp on up type dummy",
        "addr add 10.0.1.2/24 dev eth1",
    )
    for vhid in (1, 2, 3, 4):
        addresses = (f"10.0.0.{vhid + 200}/24",)
        c.create(host, "advbase 20", vhid=vhid, name=f"carp{vhid}", addresses=addresses)
    c.create(host, "advbase 20", vhid=5, name="carp5", carpdev="eth1", addresses=("10.0.1.1/24",))
    names = [f"carp{vhid}" for vhid in (1, 2, 3, 4, 5)]
    for name in names:
        change(host, "state master", name)
        c.wait_state(host, "master", name=name)
    lost = lan.client.capture(only="ip proto 112")
    well = host.capture("eth1", only="ip proto 112")
    host.ip("link", "set", "eth0", "down")
    time.sleep(0.1)
    said = [(one.vhid, one.is_bow_out) for one in c.heard(lost.packets())]
    assert said == [(vhid, True) for vhid in (1, 2, 3, 4)]
    assert [(one.vhid, one.demote) for one in c.heard(well.sent())] == [(5, 4)]
    assert demoted(log) == [
        f"3: carp: {name} demoted group carp by 1 to 4 (link:eth0)" for name in names[:4]
    ]


def quiet(host: Host, level: int) -> None:
    """Sets net.inet.carp.log, and lets the limit forget what earlier tests have said."""
    host.sysctl("net.inet.carp.log", level)
    time.sleep(6)


def demoted(log: Kmsg) -> list[str]:
    """What the log says of demotion."""
    return [line for line in log.read() if "demoted group" in line]


def test_demotion_is_logged_from_level_3_on(masters: Host, log: Kmsg) -> None:
    quiet(masters, 2)
    masters.ip("link", "set", "eth0", "down")
    assert demoted(log) == []


def test_a_pulled_cable_demotes(lan: Lan) -> None:
    c.create(lan.a)
    lan.cable_pull(lan.a)
    wait_for(lambda: demote(lan.a) == 1, 2, "it is demoted")
    lan.cable_plug(lan.a)
    wait_for(lambda: demote(lan.a) == 0, 2, "it is well again")


def test_a_parent_that_is_down_from_the_beginning(host: Host) -> None:
    host.ip("link", "set", "eth0", "down")
    host.ip_batch("link add carp0 type carp carpdev eth0", "link add carp1 type carp")
    assert (demote(host), counter(host, "carp")) == (1, 1), "without a vhid, too"
    change(host, "vhid 1")
    assert counter(host, "carp") == 1
    change(host, "carpdev eth1")
    assert counter(host, "carp") == 0
    change(host, "carpdev eth0")
    assert counter(host, "carp") == 1
    change(host, "carpdev none")
    assert counter(host, "carp") == 0


def test_a_parent_without_vhid_on_it(host: Host) -> None:
    """It fails and comes back, and demotion follows."""
    host.ip("link", "add", "carp0", "type", "carp", "carpdev", "eth0")
    host.ip("link", "set", "eth0", "down")
    assert counter(host, "carp") == 1
    host.ip("link", "set", "eth0", "up")
    assert counter(host, "carp") == 0


@pytest.mark.parametrize("line", ["link del eth0", "link del carp0", "link set eth0 name eth9"])
def test_what_goes_takes_its_demotion_along(masters: Host, line: str) -> None:
    """An interface does. A parent that goes leaves it behind: what stood on it suffers."""
    masters.ip("link", "set", "eth0", "down")
    masters.ip(*line.split())
    left = 0 if line == "link del carp0" else 1
    assert counter(masters, "carp") == left
    assert demote(masters, "carp1") == left


def test_own_demotion_moves_along(masters: Host) -> None:
    """A group that is joined suffers from it, one that is left does not any more."""
    change(masters, "group x", "carp1")
    masters.ip("link", "set", "eth0", "down")
    carpctl(masters, "-g carp carpdemote 4")
    change(masters, "group x")
    assert (counter(masters, "carp"), counter(masters, "x")) == (5, 1)
    assert demote(masters, "carp1") == said(masters, "eth1").demote == 6
    change(masters, "-group carp")
    assert (counter(masters, "carp"), counter(masters, "x")) == (4, 1)
    change(masters, "-group x")
    assert (counter(masters, "carp"), counter(masters, "x")) == (4, 0)
    assert demote(masters) == 1, "in no group it still knows of its own"
    change(masters, "group x")
    assert demote(masters) == counter(masters, "x") == 1
    masters.ip("link", "set", "eth0", "up")
    assert (demote(masters), counter(masters, "x")) == (0, 0)


def test_nobody_takes_back_what_the_kernel_demotes_for(masters: Host) -> None:
    """`-carpdemote` takes back what carpdemote has added, and says so."""
    masters.ip("link", "set", "eth0", "down")
    told = masters.refused("carpctl", "-g", "carp", "-carpdemote")
    assert "carp: carpdemote has added less than that" in told
    assert counter(masters, "carp") == demote(masters) == 1
    masters.ip("link", "set", "eth0", "up")
    assert counter(masters, "carp") == demote(masters) == 0


# -- own demotion: errors of sending


def test_errors_of_sending_demote(masters: Host, log: Kmsg) -> None:
    """Three in a row; and three successes in a row take it back."""
    change(masters, PEER)
    quiet(masters, 4)
    wire = masters.capture("eth0", only="ip proto 112")
    refuse_to_send(masters)
    wait_for(lambda: demote(masters) == 1, 2, "it is demoted")
    assert counter(masters, "carp") == 1
    assert c.state(masters) == "master"
    told = log.read()
    assert "3: carp: carp0 demoted group carp by 1 to 1 (send-errors:carp0)" in told
    complaints = [line for line in told if line.startswith("4: carp: carp0: ")]
    assert complaints and "could not be sent" in complaints[0], told
    assert c.stats(masters)["tx_error"] >= 3
    quiet(masters, 3)
    before = len(wire.sent())
    send_again(masters)
    wait_for(lambda: demote(masters) == 0, 2, "it is well again")
    sent = c.heard(wire.sent())[before:]
    demotes = [packet.demote for packet in sent[:5]]
    assert demotes == sorted(demotes, reverse=True)
    # While its queue is replaced a device takes a packet and drops it, without an error.
    assert sum(demotes) == 3 or (kernel.looks_for_mistakes() and 1 <= sum(demotes) <= 3)
    assert "3: carp: carp0 demoted group carp by -1 to 0 (send-errors:carp0)" in log.read()


def test_errors_of_sending_count_for_all_virtual_hosts(host: Host) -> None:
    """Three rounds of two are six."""
    host.ip_batch(
        "link add carp0 type carp carpnodes 1:0,2:0 balancing ip-unicast carpdev eth0 advbase 60"
        f" {PEER}",
        f"addr add {VIP}/24 dev carp0",
        "link set carp0 up",
        "link set carp0 type carp state master",
    )
    refuse_to_send(host)
    for errors in (2, 4, 6):
        assert demote(host) == 0, f"before {errors} errors"
        carpctl(host, "-g carp carpdemote")
        carpctl(host, "-g carp -carpdemote")
    assert demote(host) == 1


def test_errors_of_sending_are_forgotten_with_the_parent(masters: Host) -> None:
    change(masters, PEER)
    refuse_to_send(masters)
    wait_for(lambda: demote(masters) == 1, 2, "it is demoted")
    change(masters, "carpdev eth1")
    assert counter(masters, "carp") == 0


def test_errors_of_sending_are_forgotten_when_it_is_set_down(masters: Host) -> None:
    change(masters, PEER)
    refuse_to_send(masters)
    wait_for(lambda: demote(masters) == 1, 2, "it is demoted")
    masters.ip("link", "set", "carp0", "down")
    assert counter(masters, "carp") == 0


def test_many_that_fail_at_once(host: Host) -> None:
    """Each in a group of its own: each one's demotion makes all the others speak, and
    so fail, in turn."""
    letters = string.ascii_lowercase[:10]
    names = [f"carp{i}" for i in range(100)]
    lines = []
    for i, name in enumerate(names):
        lines += [
            f"link add {name} type carp vhid {i + 1} carpdev eth0 advbase 60 {PEER}"
            f" group {letters[i // 10]}{letters[i % 10]}",
            f"link set {name} type carp -group carp",
            f"addr add 10.0.0.{100 + i}/24 dev {name}",
            f"link set {name} up",
            f"link set {name} type carp state master",
        ]
    host.ip_batch(*lines)
    refuse_to_send(host)
    for advskew in (1, 2):
        host.ip_batch(*(f"link set {name} type carp advskew {advskew}" for name in names))
    assert {demote(host, name) for name in names[::33]} == {0}
    change(host, "advskew 3")
    wait_for(lambda: demote(host, names[-1]) == 1, 10, "the last one is demoted")
    shown = host.ip_json("link", "show", "type", "carp")
    assert [info["linkinfo"]["info_data"]["demote"] for info in shown] == [1] * len(names)


# -- what others see


@pytest.mark.parametrize("advskew", [0, 100, 250])
def test_those_who_read_advskew_only_see_it(host: Host, advskew: int) -> None:
    c.create(host, "advbase 0", advskew=advskew or 1)
    advskew = advskew or 1
    # among those who are demoted the order stays
    high = 240 + advskew // 17
    c.wait_state(host, "master")
    assert (said(host).demote, said(host).advskew) == (0, advskew)
    carpctl(host, "-g carp carpdemote")
    assert (said(host).demote, said(host).advskew) == (1, high)
    assert c.info(host)["advskew"] == advskew, "what was configured is shown"
    change(host, "-demoteskew")
    assert c.info(host)["demoteskew"] is False
    assert (said(host).demote, said(host).advskew) == (1, advskew)
    change(host, "demoteskew")
    assert said(host).advskew == high
    carpctl(host, "-g carp -carpdemote")
    assert (said(host).demote, said(host).advskew) == (0, advskew)


def test_demotion_does_not_slow_it_down(host: Host) -> None:
    """The advskew of 240 is for others to read, its interval is as it was."""
    c.create(host, advskew=10)
    c.wait_state(host, "master")
    carpctl(host, "-g carp carpdemote")
    capture = host.capture("eth0", only="ip proto 112")
    time.sleep(4)
    packets = c.heard(capture.sent())
    interval = 1_000_000_000 + 10 * 1_000_000_000 // 256
    assert len(packets) >= 3 and {packet.advskew for packet in packets} == {240}
    for first, second in zip(packets, packets[1:], strict=False):
        assert abs(second.time - first.time - interval) < kernel.work(MILLISECOND)
