# SPDX-License-Identifier: GPL-2.0
"""docs/recipes.md: routing daemons on both hosts, and BIRD as their neighbour."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.lan import VIP, Lan
from lib.recipes import Box, outage, recipe

pytestmark = [pytest.mark.usefixtures("carp"), pytest.mark.programs]

Figure = Callable[[str, float, str], None]

INSIDE, NETWORK = "203.0.113.1", "203.0.113.0/24"

NEIGHBOUR = """
router id 10.0.0.100;
protocol device { scan time 1; }
protocol kernel { ipv4 { export all; }; }
template bgp firewall {
    local 10.0.0.100 as 65000;
    ipv4 { import all; export none; };
}
protocol bgp fw2 from firewall { neighbor 10.0.0.2 as 65001; }
protocol bgp fw3 from firewall { neighbor 10.0.0.3 as 65001; }
ipv4 table shared_net;
protocol bgp shared {
    local 10.0.0.101 as 65002;
    neighbor 10.0.0.1 as 65001;
    hold time 9;
    connect retry time 1;
    error wait time 1, 1;
    ipv4 { table shared_net; import all; export none; };
}
"""
OSPF = """
ipv4 table ospf_net;
protocol ospf v2 igp {
    ipv4 { table ospf_net; import all; };
    area 0 { interface "eth0" { hello 1; dead 4; }; };
}
"""


def start_bird(box: Box) -> None:
    box.path("/run/bird").mkdir()
    box.run("bird", "-c", "/etc/bird/bird.conf", "-s", "/run/bird/bird.ctl")


def state_of(box: Box, protocol: str) -> str:
    return box.run("birdc", "show", "protocols", protocol).stdout.split()[-1]


def wait_established(box: Box, *protocols: str, timeout: float = 30) -> None:
    for name in protocols:
        wait_for(
            lambda name=name: state_of(box, name) == "Established", timeout, f"{name} on {box}"
        )


def next_hops(client: Box, table: str) -> set[str]:
    """Of the network that the firewalls announce."""
    shown = client.run("birdc", "show", "route", "table", table, "all").stdout
    return set(re.findall(r"via (\S+) on", shown.partition(NETWORK)[2]))


@pytest.fixture
def neighbour(lan: Lan, boxes: list[Box]) -> Box:
    client = boxes[-1]
    client.host.ip("addr", "add", "10.0.0.101/32", "dev", "eth0")
    return client


def create_pair(lan: Lan) -> None:
    c.create_pair(lan, preempt=True, addresses=(f"{VIP}/24", f"{INSIDE}/24"))


def causes(box: Box) -> str:
    return box.run("carpctl", "-g", "carp").stdout


def test_bird(lan: Lan, boxes: list[Box], neighbour: Box, figure: Figure) -> None:
    bird = recipe("BIRD")
    create_pair(lan)
    for box in boxes[:2]:
        box.install(bird, OWN_ADDRESS=box.host.address)
        start_bird(box)
        box.react()
    neighbour.write("/etc/bird/bird.conf", NEIGHBOUR)
    start_bird(neighbour)
    wait_established(neighbour, "fw2", "fw3", "shared")
    assert state_of(boxes[0], "carp0_customer") == "Established"
    assert state_of(boxes[1], "carp0_customer") != "Established"
    assert next_hops(neighbour, "master4") == {VIP}
    pinger = lan.client.ping(INSIDE, 0.005)
    lan.a.run("carpctl", "demote", "test")
    c.wait_state(lan.b, "master")
    began = time.monotonic()
    wait_for(
        lambda: state_of(boxes[1], "carp0_customer") == "Established", 20, "it is the new master's"
    )
    figure("BIRD, session from the shared address, after", time.monotonic() - began, "s")
    figure("BIRD, handed over, outage", outage(pinger), "s")
    lan.a.run("carpctl", "undemote", "test")
    c.wait_state(lan.a, "master")
    time.sleep(1)
    pinger = lan.client.ping(INSIDE, 0.005)
    time.sleep(1)
    lan.hard_cut(lan.a)
    time.sleep(10)
    lost = outage(pinger)
    figure("BIRD, hard cut, outage", lost, "s")
    assert lost < 4


def test_demoted_until_the_session_is_up(lan: Lan, boxes: list[Box], neighbour: Box) -> None:
    bird = recipe("BIRD")
    create_pair(lan)
    for box in boxes[:2]:
        box.install(bird, OWN_ADDRESS=box.host.address)
        start_bird(box)
        box.start_unit("bgp-demote")
    for box in boxes[:2]:
        wait_for(lambda box=box: "no session with uplink" in causes(box), 5, f"{box} is demoted")
    assert c.state(lan.a) == "master", "both are"
    neighbour.write("/etc/bird/bird.conf", NEIGHBOUR)
    start_bird(neighbour)
    wait_established(neighbour, "fw2", "fw3")
    time.sleep(55)
    assert "no session with uplink" in causes(boxes[0])
    for box in boxes[:2]:
        wait_for(lambda box=box: "uplink" not in causes(box), 10, f"{box} is demoted no more")
    neighbour.run("birdc", "disable", "fw2")
    c.wait_state(lan.b, "master", 10)
    neighbour.run("birdc", "enable", "fw2")
    wait_established(neighbour, "fw2")
    time.sleep(50)
    assert c.state(lan.b) == "master"
    c.wait_state(lan.a, "master", 20)


def start_frr(box: Box) -> None:
    for name in ("run/frr", "var/log/frr"):
        box.path(f"/{name}").mkdir()
        box.run("chown", "frr:frr", f"/{name}")
    for daemon in ("mgmtd", "zebra", "bgpd", "ospfd"):
        # it keeps what it prints to
        box.run("sh", "-c", f"/usr/lib/frr/{daemon} -d >/run/{daemon}.log 2>&1")
    box.run("vtysh", "-b")


def test_frr(lan: Lan, boxes: list[Box], neighbour: Box, figure: Figure) -> None:
    frr = recipe("FRR")
    create_pair(lan)
    for box in boxes[:2]:
        box.install(frr, OWN_ADDRESS=box.host.address)
        start_frr(box)
    neighbour.write("/etc/bird/bird.conf", NEIGHBOUR + OSPF)
    start_bird(neighbour)
    wait_established(neighbour, "fw2", "fw3", "shared")
    for box in boxes[:2]:
        box.wait_run("sh", "-c", frr.commands[0])
    assert next_hops(neighbour, "master4") == {VIP}
    wait_for(
        lambda: next_hops(neighbour, "ospf_net") == {lan.a.address}, 30, "the master's, by OSPF"
    )
    pinger = lan.client.ping(INSIDE, 0.005)
    lan.a.run("carpctl", "demote", "test")
    c.wait_state(lan.b, "master")
    began = time.monotonic()
    wait_for(lambda: next_hops(neighbour, "ospf_net") == {lan.b.address}, 30, "the new master's")
    figure("FRR, OSPF knows of the new master after", time.monotonic() - began, "s")
    question = frr.commands[0].replace("10.0.0.100", "10.0.0.101")
    boxes[1].wait_run("sh", "-c", question, timeout=30)
    figure("FRR, the session from the shared address is back after", time.monotonic() - began, "s")
    figure("FRR, handed over, outage", outage(pinger), "s")
    lan.a.run("carpctl", "undemote", "test")
    c.wait_state(lan.a, "master")
    time.sleep(1)
    pinger = lan.client.ping(INSIDE, 0.005)
    time.sleep(1)
    lan.hard_cut(lan.a)
    wait_for(lambda: next_hops(neighbour, "ospf_net") == {lan.b.address}, 30, "the new master's")
    lost = outage(pinger)
    figure("FRR, hard cut, outage", lost, "s")
    assert lost < 4
