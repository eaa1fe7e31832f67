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
    provider.spawn(
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
    follows(lan, figure, "DHCP, hard cut", lambda: hard_cut(lan, provider))
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
    time.sleep(10)
    figure(f"{what}, outage", outage(pinger), "s")


OPTIONS = "auth\nrequire-chap\nlcp-echo-interval 5\nlcp-echo-failure 3\n"
UP = '#!/bin/sh\nip route replace 10.0.0.0/24 dev "$1"\n'


def test_pppoe(lan: Lan, boxes: list[Box], provider: Host, figure: Figure) -> None:
    """The session ends and another one begins, from the virtual MAC."""
    pppoe = recipe("PPPoE")
    # it makes /dev/ppp
    run(("modprobe", "pppoe"))
    server = Box(provider, boxes[0].folder.parent)
    server.write("/etc/ppp/options", OPTIONS)
    server.write("/etc/ppp/chap-secrets", '"USER" * "SECRET" *\n')
    server.write("/etc/ppp/ip-up", UP)
    server.spawn(
        *("pppoe-server", "-F", "-k", "-g", "rp-pppoe.so", "-O", "/etc/ppp/options"),
        *("-I", "br0", "-L", "198.51.100.1", "-R", "198.51.100.50"),
    )
    c.create_pair(lan, preempt=True)
    for box, skew in zip(boxes[:2], (0, 100), strict=True):
        box.install(pppoe)
        box.follow_unit("pppoe", "carp1")
        box.react()
        c.create(
            box.host, name="carp1", carpdev="eth1", addresses=("192.168.100.2/24",), advskew=skew
        )
    lan.client.ip("route", "add", "default", "via", VIP)
    for host in lan.hosts:
        host.sysctl("net.ipv4.ip_forward", 1)
    wire = provider.capture("br0", "pppoed")
    boxes[-1].wait_run("ping", "-c", "1", "-W", "1", BEHIND)
    follows(lan, figure, "PPPoE, handed over", lambda: lan.a.run("carpctl", "demote", "test"))
    follows(lan, figure, "PPPoE, handed back", lambda: lan.a.run("carpctl", "undemote", "test"))
    follows(lan, figure, "PPPoE, hard cut", lambda: hard_cut(lan, provider))
    sources = {packet.data[6:12] for packet in wire.packets() if not packet.outgoing}
    assert sources == {c.virtual_mac(1)}


def hard_cut(lan: Lan, provider: Host) -> None:
    lan.hard_cut(lan.a)
    provider.run("bridge", "link", "set", "dev", "a", "state", "0")
