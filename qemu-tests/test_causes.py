# SPDX-License-Identifier: GPL-2.0
"""Causes of demotion: named, with amount, time and reason; nobody takes back another's."""

from __future__ import annotations

import json
import time

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import Lan

pytestmark = pytest.mark.usefixtures("carp")


@pytest.fixture
def host(host: Host) -> Host:
    """It is master on eth0."""
    c.create(host)
    c.wait_state(host, "master")
    return host


def carpctl(host: Host, line: str) -> str:
    return host.run("carpctl", *line.split()).stdout


def causes(host: Host, group: str = "carp") -> list[tuple[str, int]]:
    """Name and amount of each."""
    groups = json.loads(carpctl(host, "status --json"))["groups"]
    (found,) = [it for it in groups if it["group"] == group]
    named = [(it["cause"], it["amount"]) for it in found["causes"]]
    assert found["demote"] == sum(amount for _, amount in named)
    return named


def test_a_cause_is_set_and_taken_back(host: Host) -> None:
    """The words of the manual; the interface advertises the sum."""
    wire = host.capture("eth0", only="ip proto 112")
    carpctl(host, "demote maintenance --by 100")
    host.run("carpctl", "demote", "check:web", "-g", "carp", "--reason", "no answer on port 80")
    assert causes(host) == [("maintenance", 100), ("check:web", 1)]
    assert c.info(host)["demote"] == 101
    wait_for(lambda: len(wire.sent()) >= 2, 1, "each is advertised at once")
    assert [it.demote for it in c.heard(wire.sent())][:2] == [100, 101]
    assert carpctl(host, "-g carp") == (
        "carp: carp demote count 101\n"
        "\tmaintenance 100 since 0 s\n"
        "\tcheck:web 1 since 0 s: no answer on port 80\n"
    )
    # again: another amount, and since when it is so stays
    time.sleep(61)
    carpctl(host, "demote check:web --by 5")
    assert "\tcheck:web 5 since 1 min 1 s\n" in carpctl(host, "-g carp")
    carpctl(host, "undemote maintenance")
    assert causes(host) == [("check:web", 5)]
    carpctl(host, "undemote check:web -g carp")
    assert carpctl(host, "-g carp") == "carp: carp demote count 0\n"
    assert c.info(host)["demote"] == 0


def test_a_cause_ends_by_itself(host: Host, log: Kmsg) -> None:
    """On a master and on a backup, and on an interface that does not run."""
    monitor = host.spawn("carpctl", "monitor", "--json")
    carpctl(host, "demote x --for 2")
    assert "for 2 s more" in carpctl(host, "-g carp")
    time.sleep(1.9)
    assert causes(host) == [("x", 1)]
    time.sleep(0.2)
    assert causes(host) == []
    wait_for(lambda: '"step":-1,"cause":"x"' in monitor.output(), 1, "an event")
    # a longer time, of which nobody is told, and none at all
    carpctl(host, "demote x --for 2")
    wait_for(lambda: monitor.output().count('"cause":"x"') == 3, 1, "an event")
    carpctl(host, "demote x --for 10")
    carpctl(host, "demote x --for 10 --reason words")
    wait_for(lambda: '"cause_reason":"words"' in monitor.output(), 1, "an event")
    assert monitor.output().count('"cause":"x"') == 4
    carpctl(host, "demote y --for 2")
    carpctl(host, "demote y")
    time.sleep(5)
    assert causes(host) == [("x", 1), ("y", 1)]
    host.ip("link", "set", "carp0", "down")
    time.sleep(5.1)
    assert causes(host) == [("y", 1)]


def test_the_kernels_own_have_names(lan: Lan) -> None:
    """Several interfaces on one link are one cause; it goes with the link's failure."""
    c.create(lan.a)
    c.create(lan.a, name="carp1", vhid=2, addresses=("10.0.0.101/24",))
    c.wait_state(lan.a, "master")
    lan.cable_pull(lan.a)
    wait_for(lambda: causes(lan.a) == [("link:eth0", 2)], 1, "the link is a cause")
    told = json.loads(carpctl(lan.a, "status --json"))["groups"][0]["causes"][0]
    assert told["interfaces"] == ["carp0", "carp1"]
    # nobody takes it back, by whatever word
    for words in ("-g carp -carpdemote 2", "undemote link:eth0"):
        refused = lan.a.refused("carpctl", *words.split())
        assert "carpdemote has added less" in refused or "kernel's own" in refused
    lan.cable_plug(lan.a)
    wait_for(lambda: causes(lan.a) == [], 1, "it has link again")
    # a device that is gone takes its cause along, once nobody waits for it
    lan.a.ip("link", "del", "eth0")
    assert causes(lan.a) == [("link:eth0", 2)]
    for name in ("carp0", "carp1"):
        lan.a.ip("link", "set", name, "type", "carp", "carpdev", "none")
    assert causes(lan.a) == []


def test_carpdemote_is_the_cause_manual(host: Host) -> None:
    carpctl(host, "-g carp carpdemote 50")
    carpctl(host, "demote check:web --by 10")
    assert causes(host) == [("manual", 50), ("check:web", 10)]
    told = host.refused("carpctl", "-g", "carp", "-carpdemote", "51")
    assert "carpdemote has added less than that to carp, which check:web demotes too" in told
    carpctl(host, "-g carp -carpdemote 50")
    assert causes(host) == [("check:web", 10)]
    # who takes it back by its name may
    carpctl(host, "-g carp carpdemote 7")
    carpctl(host, "undemote manual")
    assert causes(host) == [("check:web", 10)]


def test_freebsds_sysctl(host: Host) -> None:
    """It reads the sum, and what is written is added."""

    def demotion() -> str:
        return host.run("cat", "/proc/sys/net/inet/carp/demotion").stdout

    assert demotion() == "0\n"
    carpctl(host, "demote x --by 3")
    host.sysctl("net.inet.carp.demotion", 100)
    assert demotion() == "103\n"
    assert causes(host) == [("x", 3), ("manual", 100)]
    host.sysctl("net.inet.carp.demotion", -100)
    assert causes(host) == [("x", 3)]
    for wrong in (-1, 129):
        refused = host.refused("sh", "-c", f"echo {wrong} >/proc/sys/net/inet/carp/demotion")
        assert "I/O error" in refused, refused
    host.ip("link", "del", "carp0")
    assert demotion() == "0\n"
    host.refused("sh", "-c", "echo 1 >/proc/sys/net/inet/carp/demotion")


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["demote", "a b"], "a cause's name has 1-31 visible ASCII characters"),
        (["demote", ""], "a cause's name has 1-31 visible ASCII characters"),
        (["demote", "link:eth1"], "link:, send-errors: and pfsync- are causes of the kernel's own"),
        (["demote", "x", "--by", "0"], "a number of 1-255 is expected"),
        (["demote", "x", "--by", "256"], "a number of 1-255 is expected"),
        (["demote", "x", "--for", "0"], "a number of seconds is expected"),
        (["demote", "x", "--for", "99999999"], "a cause lasts 1 second to a year"),
        (["demote", "x", "--reason", "\x1b[2J"], "without control characters"),
        (["demote", "x", "-g", "nope"], "no carp interface is in a group nope"),
        (["demote", "x", "-g", "carp0"], "carp0"),
        (["undemote", "x"], "group carp has no cause x that was set by name"),
    ],
)
def test_refused(host: Host, words: list[str], sentence: str) -> None:
    told = host.refused("carpctl", *words)
    assert sentence in told, told
    assert causes(host) == []


def test_they_are_bounded(host: Host) -> None:
    """32 by name, whoever sets them; and only who administers the namespace may."""
    for number in range(32):
        carpctl(host, f"demote check:{number}")
    assert "at most 32 causes" in host.refused("carpctl", "demote", "one-more")
    carpctl(host, "demote check:7 --by 9")
    assert len(causes(host)) == 32
    assert c.info(host)["demote"] == 40
    carpctl(host, "undemote check:8")
    carpctl(host, "demote one-more")
    user = ("setpriv", "--reuid=65534", "--clear-groups")
    assert "Operation not permitted" in host.refused(*user, "carpctl", "demote", "mine")
    assert len(causes(host)) == 32


def test_a_group_takes_its_causes_along(host: Host) -> None:
    """A group without interfaces is gone, and its causes are."""
    host.ip(*"link set carp0 type carp group x".split())
    carpctl(host, "demote check:web -g x --for 5")
    assert c.info(host)["demote"] == 1
    host.ip(*"link set carp0 type carp -group x".split())
    assert c.info(host)["demote"] == 0
    host.ip(*"link set carp0 type carp group x".split())
    assert causes(host, "x") == []
    time.sleep(5.5)


def test_a_backup_takes_over_from_a_demoted_master(lan: Lan) -> None:
    """And gives way when the cause ends, if it is the worse one."""
    c.create_pair(lan)
    lan.a.sysctl("net.inet.carp.preempt", 1)
    carpctl(lan.a, "demote check:web --for 5")
    c.wait_state(lan.b, "master")
    c.wait_state(lan.a, "backup")
    c.wait_state(lan.a, "master", 12)
    assert causes(lan.a) == []
