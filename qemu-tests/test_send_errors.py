# SPDX-License-Identifier: GPL-2.0
"""A host that cannot send steps back, and comes back by itself; one whose queue is full
of users' traffic does neither. What is counted, and for whom, is in test_groups.py."""

from __future__ import annotations

import re
import socket
import time

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import VIP, VIP6, Lan

pytestmark = pytest.mark.usefixtures("carp")


def peers(lan: Lan) -> None:
    """a is preferred, b its substitute; they speak unicast, which the hosts' own firewalls
    see."""
    for host, other, skew in ((lan.a, lan.b, 0), (lan.b, lan.a, 100)):
        host.sysctl("net.inet.carp.preempt", 1)
        c.create(host, f"carppeer {other.address}", advskew=skew)
    c.wait_state(lan.a, "master")
    c.wait_state(lan.b, "backup")


def refuse_to_send(host: Host) -> None:
    host.run("nft", "add table ip t; add chain ip t out { type filter hook output priority 0; }")
    host.run("nft", "add rule ip t out meta l4proto 112 drop")


def send_again(host: Host) -> None:
    host.run("nft", "delete table ip t")


def demotion(host: Host) -> tuple[int, str]:
    """What the interface advertises, and what its group shows."""
    told = host.run("carpctl", "-g", "carp").stdout
    # how long it is so is another question
    return c.info(host)["demote"], " ".join(re.sub(r" since .*", "", told).split())


WELL = (0, "carp: carp demote count 0")
ILL = (1, "carp: carp demote count 1 send-errors:carp0 1")
TRIAL = "3: carp: carp0 demoted group carp by -1 to 0 (send-errors:carp0)"


def test_it_comes_back_ten_seconds_after_its_last_error(lan: Lan, log: Kmsg) -> None:
    """As a backup it sends nothing, so nothing could show that it can send again."""
    peers(lan)
    lan.a.sysctl("net.inet.carp.log", 3)
    refuse_to_send(lan.a)
    c.wait_state(lan.b, "master")
    c.wait_state(lan.a, "backup")
    assert demotion(lan.a) == ILL
    send_again(lan.a)
    time.sleep(4)
    assert demotion(lan.a) == ILL, "a moment proves nothing"
    c.wait_state(lan.a, "master", 8)
    c.wait_state(lan.b, "backup", 1)
    assert demotion(lan.a) == WELL
    assert TRIAL in log.read()
    time.sleep(30)
    assert c.state(lan.a) == "master"


def test_trials_that_fail_become_rare(lan: Lan, log: Kmsg) -> None:
    """How long one takes depends on when the next advertisement is due: the log has it,
    who looks from time to time may not see it."""
    peers(lan)
    lan.a.sysctl("net.inet.carp.log", 3)
    refuse_to_send(lan.a)
    c.wait_state(lan.a, "backup")
    start, trials = time.monotonic(), []
    while time.monotonic() < start + 100:
        trials += [time.monotonic()] * log.read().count(TRIAL)
        time.sleep(0.2)
    assert len(trials) == 3, [trial - start for trial in trials]
    assert trials[1] - trials[0] > 19 and trials[2] - trials[1] > 39
    assert c.state(lan.b) == "master"


@pytest.mark.parametrize("to", ["group", "peers"])
def test_a_queue_that_users_keep_full_moves_no_master(lan: Lan, to: str) -> None:
    """Frames to the group do not wait in it. Packets to peers are tried again: there is room
    for a moment each time that a packet leaves."""
    if to == "peers":
        peers(lan)
    else:
        c.create_pair(lan, preempt=True, addresses=(f"{VIP}/24", f"{VIP6}/64"))
    with lan.a.inside():
        flood = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    flood.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    # 100 packets leave each second, and ten times as many want to
    lan.a.run("tc", *"qdisc add dev eth0 root handle 1: tbf rate 1mbit burst 5k limit 30k".split())
    lan.a.run("tc", *"qdisc add dev eth0 parent 1:1 pfifo limit 20".split())
    before = c.stats(lan.a)
    with flood:
        end = time.monotonic() + 12
        while time.monotonic() < end:
            for _ in range(5):
                flood.sendto(bytes(1200), (lan.client.address, 9))
            time.sleep(0.005)
    after = c.stats(lan.a)
    if to == "peers":
        assert after["tx_error"] - before["tx_error"] > 6, "nothing was dropped"
    else:
        assert after["tx_ipv6"] - before["tx_ipv6"] >= 11
        assert after["tx_error"] == before["tx_error"]
    assert after["tx_ipv4"] - before["tx_ipv4"] >= 11
    assert c.stats(lan.b)["preempt"] == 0, "b was master"
    assert demotion(lan.a) == WELL


def test_a_full_queue_demotes_nobody(lan: Lan) -> None:
    """No room at all is the worst of it. That it is not heard is for others to see."""
    peers(lan)
    lan.a.run("tc", "qdisc", "replace", "dev", "eth0", "root", "pfifo", "limit", "0")
    wait_for(lambda: c.stats(lan.a)["tx_error"] >= 100, 10, "a hundred packets were dropped")
    assert demotion(lan.a) == WELL
    assert c.state(lan.a) == "master"
    lan.a.run("tc", "qdisc", "del", "dev", "eth0", "root")
    c.wait_state(lan.b, "backup", 3)
    assert c.state(lan.a) == "master"


def test_a_filter_has_the_last_word(lan: Lan) -> None:
    """Past a queue, but not past who filters what leaves; taps see it either way."""
    c.create_pair(lan, addresses=(f"{VIP}/24",))
    lan.a.run("tc", "qdisc", "replace", "dev", "eth0", "root", "pfifo", "limit", "0")
    capture = lan.a.capture("eth0", only="proto 112")
    time.sleep(3)
    assert len(capture.sent()) >= 2
    capture.close()
    assert c.state(lan.b) == "backup"
    table = "add table netdev t; add chain netdev t out"
    lan.a.run("nft", table + " { type filter hook egress device eth0 priority 0; }")
    before = c.stats(lan.a)
    c.wait_state(lan.b, "master", 5)
    after = c.stats(lan.a)
    assert after["tx_ipv4"] == before["tx_ipv4"]
    assert after["tx_error"] > before["tx_error"]
