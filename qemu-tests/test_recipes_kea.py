# SPDX-License-Identifier: GPL-2.0
"""The recipe of Kea: the leases are on both hosts, whoever is master."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.lan import Lan
from lib.process import Process
from lib.recipes import Box, recipe

pytestmark = [pytest.mark.usefixtures("carp"), pytest.mark.programs]

Figure = Callable[[str, float, str], None]
LEASES = "/var/lib/kea/kea-leases4.csv"


def start_kea(box: Box, name: str) -> Process:
    box.install(recipe("Kea"), THIS_HOST=name)
    for folder in ("/var/lib/kea", "/run/kea", "/run/lock/kea", "/var/log/kea"):
        box.run("install", "-d", "-m", "750", folder)
    return box.spawn("kea-dhcp4", "-c", "/etc/kea/kea-dhcp4.conf")


def leased(client: Host) -> list[str]:
    shown = client.ip_json("-4", "addr", "show", "dev", "eth0")
    return [it["local"] for addresses in shown for it in addresses["addr_info"]]


def test_kea(lan: Lan, boxes: list[Box], figure: Figure) -> None:
    """A client keeps its address, and the other host knows it before it is asked."""
    *firewalls, client = boxes
    lan.client.ip("addr", "flush", "dev", "eth0")
    c.create_pair(lan)
    for box, name in zip(firewalls, ("first", "second"), strict=True):
        start_kea(box, name)
    time.sleep(10)
    client.spawn("dhcpcd", "-4", "-B", "-d", "--noipv4ll", "eth0")
    (first,) = wait_for(lambda: leased(lan.client), 30, "the client has an address")
    routes = lan.client.ip_json("route", "show", "default")
    assert [route["gateway"] for route in routes] == ["10.0.0.1"]
    for box in firewalls:
        wait_for(lambda box=box: first in box.path(LEASES).read_text(), 5, f"{box} has the lease")

    # who is master does not matter to it
    lan.a.run("carpctl", "demote", "test")
    c.wait_state(lan.b, "master")
    client.run("dhcpcd", "-n", "eth0")
    time.sleep(3)
    assert leased(lan.client) == [first]

    lan.hard_cut(lan.a)
    began = time.monotonic()
    # as if the lease were gone, for the client would ask the first host for long
    client.run("dhcpcd", "-k", "eth0", check=False)
    wait_for(lambda: not leased(lan.client), 10, "the client has no address")
    client.spawn("dhcpcd", "-4", "-B", "-d", "--noipv4ll", "eth0")
    wait_for(lambda: leased(lan.client), 60, "the other host answers")
    figure("Kea, hard cut, a client gets an address after", time.monotonic() - began, "s")
    assert leased(lan.client) == [first]
