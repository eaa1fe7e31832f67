# SPDX-License-Identifier: GPL-2.0
"""docs/recipes.md: what it has administrators write is installed, and the programs do what
it says. How systemd follows the master is tested in machine/."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.lan import VIP, Lan
from lib.pinger import longest_gap, lost
from lib.recipes import Box, recipe, stopped

pytestmark = [pytest.mark.usefixtures("carp"), pytest.mark.programs]

Figure = Callable[[str, float, str], None]


def router_of(client: Host) -> list[str]:
    return [route["gateway"] for route in client.ip_json("-6", "route", "show", "default")]


def test_radvd(lan: Lan, boxes: list[Box], figure: Figure) -> None:
    radvd = recipe("radvd")
    for host in lan.hosts:
        host.ip("addr", "del", f"{host.address6}/64", "dev", "eth0")
    lan.client.ip("addr", "del", f"{lan.client.address6}/64", "dev", "eth0")
    c.create_pair(lan, preempt=True, addresses=(f"{VIP}/24", "fd00::1/64"))
    for box in boxes[:2]:
        box.run("sh", "-e", input=radvd.commands[0])
        box.install(radvd)
        box.host.sysctl("net.ipv6.conf.all.forwarding", 1)
        box.host.ip("addr", "add", "2001:db8::1/128", "dev", "lo")
        box.spawn("radvd", "-n", "-C", "/etc/radvd.conf", "-d", "3", "-m", "stderr")
    wire = lan.client.capture(only="icmp6[0] == 134")
    wait_for(lambda: router_of(lan.client) == ["fe80::1"], 20, "the client has its router")
    lan.client.settle()
    for what, act in (
        ("handed over", lambda: lan.a.run("carpctl", "demote", "test")),
        ("handed back", lambda: lan.a.run("carpctl", "undemote", "test")),
        ("hard cut", lambda: lan.hard_cut(lan.a)),
    ):
        pinger = lan.client.ping("2001:db8::1", 0.005)
        time.sleep(1)
        act()
        time.sleep(5)
        count = len(wire.packets())
        time.sleep(12)
        assert len(wire.packets()) > count, "the new master is heard"
        assert router_of(lan.client) == ["fe80::1"]
        pings = pinger.stop()
        figure(f"radvd, {what}, outage", longest_gap(pings).seconds, "s")
        figure(f"radvd, {what}, lost of one each 5 ms", len(lost(pings)), "pings")
        assert any(ping.received for ping in pings[-20:])
        # The old master's last advertisements, one for each family and demotion, may come after
        # the new one's first, and the switch believes them until the new one sends again.
        assert what == "hard cut" or len(lost(pings)) <= 3
    assert c.state(lan.b) == "master"
    assert {p.data[6:12] for p in wire.packets()} == {c.virtual_mac(1)}


def leased(client: Host) -> list[str]:
    shown = client.ip_json("-4", "addr", "show", "dev", "eth0")
    return [it["local"] for addresses in shown for it in addresses["addr_info"]]


def asked(client: Host, name: str) -> str:
    """What the name server at the shared address answers."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)
    with client.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        s.connect((VIP, 53))
        s.send(question)
        return socket.inet_ntoa(s.recv(500)[-4:])


def test_dnsmasq(lan: Lan, boxes: list[Box]) -> None:
    """A client keeps its address, and the name server is where it was."""
    dnsmasq = recipe("dnsmasq")
    *firewalls, client = boxes
    lan.client.ip("addr", "flush", "dev", "eth0")
    for box, address in zip(firewalls, ("192.0.2.2", "192.0.2.3"), strict=True):
        box.install(dnsmasq)
        box.write("/etc/hosts", f"{address} www.example\n")
        box.follow(
            "dnsmasq -C /dev/null -7 /etc/dnsmasq.d -u root -x /run/dnsmasq.pid",
            stopped("/run/dnsmasq.pid"),
        )
        box.react()
    c.create_pair(lan)
    client.spawn("dhcpcd", "-4", "-B", "-d", "--noipv4ll", "eth0")
    first = wait_for(lambda: leased(lan.client), 20, "the client has an address")
    assert asked(lan.client, "www.example") == "192.0.2.2"
    lan.hard_cut(lan.a)
    c.wait_state(lan.b, "master")
    time.sleep(0.5)
    assert asked(lan.client, "www.example") == "192.0.2.3"
    leases = firewalls[1].path("/var/lib/misc/dnsmasq.leases")
    assert not leases.read_text()
    client.run("dhcpcd", "-n", "eth0")
    wait_for(lambda: lan.client.mac in leases.read_text(), 20, "the new master renews the lease")
    assert leased(lan.client) == first
