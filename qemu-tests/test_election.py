# SPDX-License-Identifier: GPL-2.0
"""Who is master: the election as users see it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from lib import carp as c
from lib.clock import MILLISECOND, SECOND, now, wait_for
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import VIP, Lan
from lib.pinger import lost

pytestmark = pytest.mark.usefixtures("carp")


def pair(lan: Lan, skew_a: int = 0, skew_b: int = 100) -> None:
    """a is master, b backup."""
    c.create(lan.a, advskew=skew_a)
    c.create(lan.b, advskew=skew_b)
    c.wait_state(lan.a, "master")
    c.wait_state(lan.b, "backup")


def test_the_faster_host_becomes_master(lan: Lan) -> None:
    c.create(lan.b, advskew=100)
    c.create(lan.a, advskew=0)
    time.sleep(6)
    assert c.state(lan.a) == "master"
    assert c.state(lan.b) == "backup"


def test_operstate_tells_the_state(lan: Lan) -> None:
    c.create(lan.a, up=False)
    assert lan.a.link("carp0").operstate == "down"
    lan.a.ip("link", "set", "carp0", "up")
    wait_for(lambda: lan.a.link("carp0").operstate == "dormant", 1, "BACKUP is dormant")
    assert c.state(lan.a) == "backup"
    c.wait_state(lan.a, "master")
    wait_for(lambda: lan.a.link("carp0").operstate == "up", 1, "MASTER is up")


def test_every_change_of_state_is_a_newlink(lan: Lan) -> None:
    monitor = lan.b.spawn("ip", "-d", "monitor", "link")
    pair(lan)
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master")
    wait_for(lambda: "carp state MASTER" in monitor.output(), 2, "RTM_NEWLINK of MASTER")
    output = monitor.output()
    assert output.index("carp state BACKUP") < output.index("carp state MASTER")


def test_advertisements_are_what_the_protocol_says(lan: Lan) -> None:
    capture = lan.client.capture(only="ip proto 112")
    c.create(lan.a, advskew=10)
    c.wait_state(lan.a, "master")
    time.sleep(5)
    packets = c.heard(capture.packets())
    assert len(packets) >= 5
    for packet in packets:
        assert packet.mac == c.virtual_mac(1)
        assert packet.source == lan.a.address
        assert (packet.ttl, packet.tos) == (255, 0x10)
        assert (packet.vhid, packet.advbase, packet.advskew, packet.demote) == (1, 1, 10, 0)
        assert packet.data[:6] == c.GROUP_MAC
        assert packet.data[20:22] == b"\x40\x00", "don't fragment"
        expected = c.Advertisement(advskew=10, counter=packet.data[42:50])
        assert packet.data[34:] == expected.payload()
    # the counter is drawn once and never changes
    assert len({packet.data[42:50] for packet in packets}) == 1
    interval = 1_000_000_000 + 10 * 1_000_000_000 // 256
    for first, second in zip(packets, packets[1:], strict=False):
        assert abs(second.time - first.time - interval) < MILLISECOND


def test_a_master_that_is_told_goes_down_bows_out(lan: Lan) -> None:
    pair(lan)
    capture = lan.client.capture(only="ip proto 112")
    lan.a.ip("link", "set", "carp0", "down")
    wait_for(lambda: c.state(lan.b) == "master", 1, "b takes over at once")
    farewell, first, *_ = c.heard(capture.packets())
    assert farewell.is_bow_out
    assert not first.is_bow_out and first.advskew == 100
    assert first.time - farewell.time < MILLISECOND


def test_a_handover_loses_no_ping(lan: Lan, figure: Callable[[str, float, str], None]) -> None:
    pair(lan)
    pinger = lan.client.ping(VIP)
    time.sleep(0.3)
    lan.a.ip("link", "set", "carp0", "down")
    time.sleep(1)
    lan.a.ip("link", "set", "carp0", "up")
    time.sleep(4)
    pings = pinger.stop()
    figure("pings lost in a handover on purpose", len(lost(pings)), f"of {len(pings)}")
    assert not lost(pings)


@pytest.mark.parametrize("preempt", [0, 1])
def test_the_old_master_comes_back(lan: Lan, preempt: int) -> None:
    """With preempt it takes its place again, without it leaves the new one alone."""
    for host in lan.hosts:
        host.sysctl("net.inet.carp.preempt", preempt)
    pair(lan)
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master")
    lan.a.ip("link", "set", "carp0", "up")
    time.sleep(6)
    assert c.state(lan.a) == ("master" if preempt else "backup")
    assert c.state(lan.b) == ("backup" if preempt else "master")


def test_a_split_heals(lan: Lan) -> None:
    """Two masters that hear each other again agree, and the one that stays, if it
    learns of the other, announces the address once more."""
    pair(lan)
    lan.hard_cut(lan.a)
    c.wait_state(lan.b, "master")
    assert c.state(lan.a) == "master"
    spoken = {host: host.capture(only="ip proto 112") for host in lan.hosts}
    time.sleep(3)

    def next_word(host: Host, interval: float) -> float:
        return c.heard(spoken[host].sent())[-1].time + interval * SECOND

    # b must speak first, or it hears a and gives way before a knows of it
    wait_for(
        lambda: now() + SECOND // 5
        < next_word(lan.b, 1 + 100 / 256)
        < next_word(lan.a, 1) - SECOND // 5,
        30,
        "b is about to speak",
    )
    capture = lan.client.capture(only="arp")
    lan.heal(lan.a)
    c.wait_state(lan.b, "backup", 3)
    time.sleep(0.5)
    assert c.state(lan.a) == "master"
    announced = [p for p in capture.packets() if p.data[22:28] == c.virtual_mac(1)]
    assert announced, "a announces the address"
    assert {p.data[6:12] for p in announced} == {c.virtual_mac(1)}


def test_gratuitous_arp_at_takeover_and_two_advertisements_later(lan: Lan) -> None:
    pair(lan)
    capture = lan.client.capture(only="arp or ip proto 112")
    lan.a.ip("link", "set", "carp0", "down")
    time.sleep(6)
    announced, advertisements = [], 0
    vip = bytes([10, 0, 0, 1])
    for packet in capture.packets():
        if packet.data[12:14] == b"\x08\x00":
            advertisements += 1
        elif packet.data[28:32] == vip and packet.data[38:42] == vip:
            assert packet.data[:6] == b"\xff" * 6
            assert packet.data[22:28] == c.virtual_mac(1)
            announced.append(advertisements)
    # the farewell and the first of the new master; then two more
    assert announced == [2, 4]


def test_forced_state(lan: Lan) -> None:
    pair(lan)
    lan.b.ip("link", "set", "carp0", "type", "carp", "state", "master")
    assert c.state(lan.b) == "master"
    # a is the better one and does not give way; b hears so
    c.wait_state(lan.b, "backup", 3)
    lan.a.ip("link", "set", "carp0", "type", "carp", "state", "backup")
    assert c.state(lan.a) == "backup"


def test_advskew_changed_while_running(lan: Lan) -> None:
    for host in lan.hosts:
        host.sysctl("net.inet.carp.preempt", 1)
    pair(lan)
    lan.a.ip("link", "set", "carp0", "type", "carp", "advskew", "200")
    c.wait_state(lan.b, "master", 5)
    c.wait_state(lan.a, "backup", 5)
    assert c.info(lan.a)["advskew"] == 200


@pytest.mark.parametrize("level, lines", [(2, 1), (4, 3), (0, 0)])
def test_log_levels(lan: Lan, log: Kmsg, level: int, lines: int) -> None:
    """At 2 the master's change is told, at 4 INIT as well, at 0 nothing."""
    lan.a.sysctl("net.inet.carp.log", level)
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.a, "init")
    told = [line for line in log.read() if re.search("carp0 vhid 1: state transition", line)]
    assert len(told) == lines, told
    assert not any(c.PASS in line for line in told)


def test_the_log_names_the_peer(lan: Lan, log: Kmsg) -> None:
    """Whose silence it was, and who is better; nobody, where nobody was heard."""
    lan.a.sysctl("net.inet.carp.log", 2)
    lan.b.sysctl("net.inet.carp.log", 2)
    c.create_pair(lan, preempt=True)
    lan.hard_cut(lan.a)
    c.wait_state(lan.b, "master")
    lan.heal(lan.a)
    c.wait_state(lan.b, "backup")
    told = [line.partition("transition: ")[2] for line in log.read() if "transition: " in line]
    assert told == [
        "BACKUP -> MASTER (master timed out in IPv4)",
        f"BACKUP -> MASTER (master timed out in IPv4, peer {lan.a.address})",
        f"MASTER -> BACKUP (a better master advertises, peer {lan.a.address})",
    ]


def test_advertisements_are_refused_where_not_allowed(lan: Lan) -> None:
    lan.b.sysctl("net.inet.carp.allow", 0)
    c.create(lan.a)
    c.create(lan.b, advskew=100)
    c.wait_state(lan.a, "master")
    # deaf to a, so it takes itself for the only one
    c.wait_state(lan.b, "master")
    assert c.stats(lan.b)["rx_not_allowed"] > 0


def test_three_hosts_agree_in_every_order_of_death(make_lan: Callable[..., Lan]) -> None:
    lan = make_lan(3)
    for host, skew in zip(lan.hosts, (0, 50, 100), strict=True):
        host.sysctl("net.inet.carp.preempt", 1)
        c.create(host, advskew=skew)
    c.wait_state(lan.hosts[0], "master")
    for dead in lan.hosts:
        lan.hard_cut(dead)
        time.sleep(6)
        alive = [host for host in lan.hosts if host is not dead]
        assert [c.state(host) for host in alive] == ["master", "backup"]
        lan.heal(dead)
        time.sleep(6)
        assert [c.state(host) for host in lan.hosts] == ["master", "backup", "backup"]
