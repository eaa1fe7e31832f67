# SPDX-License-Identifier: GPL-2.0
"""docs/recipes.md: what speaks with a provider, on the master only."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.lan import VIP, Lan
from lib.process import run
from lib.recipes import Box, outage, recipe
from lib.world import World

pytestmark = [pytest.mark.usefixtures("carp"), pytest.mark.programs]

Figure = Callable[[str, float, str], None]

BEHIND = "192.0.2.9"


@pytest.fixture
def provider(world: World, lan: Lan) -> Host:
    """On a segment of its own with eth1 of both hosts; 192.0.2.9 is behind it."""
    provider = world.host("provider")
    lines = ["link add br0 up type bridge forward_delay 0 mcast_snooping 0"]
    for host in lan.hosts:
        lines += [
            f"link add name {host} type veth peer name eth1 netns {host}",
            f"link set dev {host} master br0 up",
        ]
    provider.ip_batch(*lines, "addr add 198.51.100.1/24 dev br0", "addr add 192.0.2.9/32 dev lo")
    for host in lan.hosts:
        host.ip("link", "set", "eth1", "up")
    return provider


def test_dhcp_client(lan: Lan, boxes: list[Box], provider: Host, figure: Figure) -> None:
    recipe_ = recipe("A DHCP client")
    server = provider.spawn(
        *(
            "dnsmasq",
            "-d",
            "-C",
            "/dev/null",
            "-p",
            "0",
            "-i",
            "br0",
            "-u",
            "root",
            "-l",
            "/run/leases",
        ),
        *("--dhcp-range=198.51.100.50,198.51.100.99,1h", "--log-dhcp"),
    )
    for box in boxes[:2]:
        box.install(recipe_)
        box.follow_unit("wan0")
        box.react()
    c.create_pair(lan, preempt=True)
    first = wait_for(lambda: leased(lan.a), 20, "the master has an address")
    begin(lan, provider, first)
    assert not leased(lan.b)
    follows(lan, figure, "DHCP, handed over", lambda: lan.a.run("carpctl", "demote", "test"))
    assert (leased(lan.a), leased(lan.b)) == ("", first)
    follows(lan, figure, "DHCP, handed back", lambda: lan.a.run("carpctl", "undemote", "test"))
    assert (leased(lan.a), leased(lan.b)) == (first, "")
    follows(lan, figure, "DHCP, hard cut", lambda: lan.hard_cut(lan.a))
    assert leased(lan.b) == first


def begin(lan: Lan, provider: Host, first: str) -> None:
    """The client's way leads through the master, and the way back through what it was given."""
    for host in lan.hosts:
        host.sysctl("net.ipv4.ip_forward", 1)
    lan.client.ip("route", "add", "default", "via", VIP)
    provider.ip("route", "add", "10.0.0.0/24", "via", first)


def leased(host: Host) -> str:
    shown = host.run("ip", "-j", "-4", "addr", "show", "dev", "wan0", check=False).stdout
    addresses = [it["local"] for it in json.loads(shown or "[]") for it in it["addr_info"]]
    return addresses[0] if addresses else ""


def follows(lan: Lan, figure: Figure, what: str, act: Callable[[], object]) -> None:
    """A host on the LAN reaches what is behind the provider, before and after."""
    pinger = lan.client.ping(BEHIND, 0.005)
    time.sleep(1)
    act()
    time.sleep(20)
    figure(f"{what}, outage", outage(pinger), "s")


CHAP = '"USER" * "SECRET" *\n'


def test_pppoe(lan: Lan, boxes: list[Box], provider: Host, figure: Figure) -> None:
    pppoe = recipe("PPPoE")
    run(("modprobe", "pppoe"))
    client = boxes[-1]
    assert client
    for box in boxes[:2]:
        box.install(pppoe)
        box.follow_unit("pppoe")
        box.react()
        c.create(
            box.host,
            name="carp1",
            carpdev="eth1",
            addresses=("192.168.100.2/24",),
            advskew=100 * (box is boxes[1]),
        )
    server = Box(provider, boxes[0].folder.parent)
    server.write(
        "/etc/ppp/options",
        "debug\nlogfile /run/server.log\nauth\nrequire-chap\nlcp-echo-interval 5\nlcp-echo-failure 3\n",
    )
    server.write("/etc/ppp/chap-secrets", CHAP)
    ac = server.spawn(
        "pppoe-server",
        "-F",
        "-k",
        "-I",
        "br0",
        "-L",
        "198.51.100.1",
        "-R",
        "198.51.100.50",
        "-O",
        "/etc/ppp/options",
    )
    time.sleep(8)
    print(server.run("cat", "/run/server.log", check=False))
    print(boxes[0].run("cat", "/run/pppoe.log", check=False).stdout)
    print(lan.a.ip("addr"))
    assert 0
