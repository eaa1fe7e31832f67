# SPDX-License-Identifier: GPL-2.0
"""What users do with a shared address: connections, routes, a gateway."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

import pytest
from lib import carp as c
from lib.capture import Packet
from lib.host import Host
from lib.lan import VIP, Lan
from lib.pinger import lost
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

VIRTUAL = c.virtual_mac(1)
PORT = 8080


def strict(*hosts: Host) -> None:
    for host in hosts:
        for device in ("all", "default", "eth0"):
            host.sysctl(f"net.ipv4.conf.{device}.rp_filter", 1)


def without_addresses(*hosts: Host) -> None:
    """The parents have no address: all IPv4 goes through carp0."""
    for host in hosts:
        host.ip("addr", "del", f"{host.address}/24", "dev", "eth0")


def talk(client: Host, server: Host) -> None:
    """A TCP connection to the VIP carries something both ways."""
    listener = server.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((VIP, PORT))
    listener.listen()
    listener.settimeout(5)
    caller = client.socket(socket.AF_INET, socket.SOCK_STREAM)
    caller.settimeout(5)
    caller.connect((VIP, PORT))
    answerer, (peer, _) = listener.accept()
    answerer.settimeout(5)
    assert peer == client.address
    assert answerer.getsockname()[0] == VIP == caller.getpeername()[0]
    for speaker, hearer in ((caller, answerer), (answerer, caller)):
        said = bytes(range(256)) * 128
        speaker.sendall(said)
        heard = b""
        while len(heard) < len(said):
            more = hearer.recv(1 << 16)
            assert more, "the connection was closed in the middle"
            heard += more
        assert heard == said
    for s in (caller, answerer, listener):
        s.close()


def from_virtual_mac(packets: list[Packet]) -> list[Packet]:
    return [packet for packet in packets if packet.data[6:12] == VIRTUAL]


@pytest.mark.parametrize("own", [True, False], ids=["", "no-parent-address"])
@pytest.mark.parametrize("rp_filter", ["loose", "strict"])
def test_tcp(lan: Lan, rp_filter: str, own: bool) -> None:
    """Before a failover and after it; answers come from the VIP."""
    if rp_filter == "strict":
        strict(*lan.hosts)
    if not own:
        without_addresses(*lan.hosts)
    c.create_pair(lan)
    capture = lan.client.capture(only=f"tcp port {PORT}")
    talk(lan.client, lan.a)
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)
    talk(lan.client, lan.b)
    sent, received = capture.sent(), capture.received()
    assert {p.data[:6] for p in sent} == {VIRTUAL}
    assert {p.data[26:30] for p in received} == {socket.inet_aton(VIP)}


@pytest.mark.parametrize("own", [True, False], ids=["", "no-parent-address"])
def test_master_speaks_as_the_vip(lan: Lan, own: bool) -> None:
    strict(*lan.hosts)
    if not own:
        without_addresses(*lan.hosts)
    c.create_pair(lan)
    capture = lan.client.capture(only=f"icmp and src {VIP}")
    lan.a.run("ping", "-c", "3", "-i", "0.2", "-W", "1", "-I", VIP, lan.client.address)
    assert len(capture.received()) == 3


def test_ping_both_ways_where_the_parent_has_no_address(lan: Lan) -> None:
    """Only carp0 has one: what the master says comes from the VIP and its MAC, and a
    backup that has become master can do the same."""
    strict(*lan.hosts)
    without_addresses(*lan.hosts)
    c.create_pair(lan)
    capture = lan.client.capture(only="icmp")
    lan.client.run("ping", "-c", "3", "-i", "0.2", "-W", "1", VIP)
    lan.a.run("ping", "-c", "3", "-i", "0.2", "-W", "1", lan.client.address)
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)
    lan.client.run("ping", "-c", "3", "-i", "0.2", "-W", "1", VIP)
    lan.b.run("ping", "-c", "3", "-i", "0.2", "-W", "1", lan.client.address)
    received = capture.received()
    assert len(received) == 12
    assert {p.data[6:12] for p in received} == {VIRTUAL}
    assert {p.data[26:30] for p in received} == {socket.inet_aton(VIP)}


# -- routes


def way(host: Host, to: str = "10.0.0.100") -> tuple[str, str]:
    """The device and the source that the host would use."""
    (route,) = host.ip_json("route", "get", to)
    return route["dev"], route["prefsrc"]


def connected(host: Host) -> list[dict[str, Any]]:
    return host.ip_json("route", "show", "dev", "carp0", "proto", "kernel")


@pytest.mark.parametrize("state", ["master", "backup"])
def test_the_parents_route_wins(lan: Lan, state: str) -> None:
    """Whichever of the two came first, after flaps of the one and the other: packets
    leave by the parent with its own address as source."""
    c.create_pair(lan, preempt=True)
    host = lan.a if state == "master" else lan.b
    mine = ("eth0", host.address)
    assert way(host) == mine
    for device in ("eth0", "carp0", "eth0"):
        host.ip_batch(f"link set {device} down", f"link set {device} up")
        assert way(host) == mine, f"after a flap of {device}"
        c.wait_state(host, state)
        assert way(host) == mine, f"as {state} after a flap of {device}"
    host.ip_batch(f"addr del {host.address}/24 dev eth0", f"addr add {host.address}/24 dev eth0")
    assert way(host) == mine, "after the parent's address came later"
    assert [route["metric"] for route in connected(host)] == [4096]


@pytest.mark.parametrize("metric", [50, 4096])
def test_a_metric_that_the_user_gave_stays(lan: Lan, metric: int) -> None:
    """Also where it is the one that a route has without, and where it is set again."""
    c.create(lan.a, addresses=())
    words = ("addr", "replace", f"{VIP}/24", "dev", "carp0", "metric", str(metric))
    for _ in range(2):
        lan.a.ip(*words)
        c.wait_state(lan.a, "master")
        assert [route["metric"] for route in connected(lan.a)] == [metric]
        lan.a.ip_batch("link set carp0 down", "link set carp0 up")
        assert [route["metric"] for route in connected(lan.a)] == [metric]


@pytest.mark.parametrize("state", ["master", "backup"])
def test_an_address_that_is_set_again_keeps_its_metric(lan: Lan, state: str) -> None:
    """`ip address replace`, which network managers use when they are reloaded."""
    c.create_pair(lan)
    host = lan.a if state == "master" else lan.b
    for address in (f"{VIP}/24", "fd00::1/64"):
        host.ip("addr", "replace", address, "dev", "carp0")
        host.ip("addr", "replace", address, "dev", "carp0", "preferred_lft", "4000")
    assert [route["metric"] for route in connected(host)] == [4096]
    host.ip_batch("link set carp0 down", "link set carp0 up")
    assert [route["metric"] for route in connected(host)] == [4096]
    host.ip("addr", "del", f"{VIP}/24", "dev", "carp0")
    assert not connected(host), "no route is left behind"


# -- what leaves


@pytest.mark.parametrize("state", ["backup", "init"])
def test_nothing_leaves_unless_master(lan: Lan, state: str) -> None:
    """Whatever a host sends from the virtual MAC shows switches the way to it, so a
    host that is not master sends nothing: not what programs send through carp0, not
    the kernel's own IGMP."""
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    c.create(lan.b, advskew=100)
    if state == "init":
        lan.b.ip("link", "set", "carp0", "type", "carp", "vhid", "2")
        c.create(lan.b, advskew=100, name="carp1", addresses=("10.0.0.7/24",))
        lan.b.ip("link", "set", "carp1", "type", "carp", "carpdev", "none")
    name = "carp0" if state == "backup" else "carp1"
    c.wait_state(lan.b, state, name=name)
    wire = lan.switch.capture(lan.b.name)
    before = lan.b.show(name)["stats64"]["tx"]
    with contextlib.suppress(OSError):
        lan.b.send_frame(b"\xff" * 6 + VIRTUAL + b"\x88\xb5" + bytes(46), name)
    with contextlib.suppress(OSError):
        lan.b.send_frame(c.arp(VIP, sender=VIP, mac=VIRTUAL), name)
    index = lan.b.link(name).index
    member = lan.b.socket(socket.AF_INET, socket.SOCK_DGRAM)
    member.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode())
    member.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    request = socket.inet_aton("239.1.2.3") + bytes(4) + index.to_bytes(4, "little")
    member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    for address in ("239.1.2.3", "10.0.0.255", "10.0.0.100"):
        with contextlib.suppress(OSError):
            member.sendto(b"hello", (address, 9))
    time.sleep(2)
    member.close()
    time.sleep(2)
    assert wire.packets(), "the capture works"
    assert not from_virtual_mac(wire.received()), "the switch was shown the virtual MAC"
    after = lan.b.show(name)["stats64"]["tx"]
    assert after["packets"] == before["packets"]
    if state == "backup":
        assert after["dropped"] > before["dropped"]


def test_the_master_sends_through_carp(lan: Lan) -> None:
    """The other side of it: the same frame leaves, and is counted."""
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    wire = lan.client.capture(only="ether proto 0x88b5")
    before = lan.a.show("carp0")["stats64"]["tx"]["packets"]
    frame = b"\xff" * 6 + VIRTUAL + b"\x88\xb5" + bytes(46)
    lan.a.send_frame(frame, "carp0")
    time.sleep(0.05)
    assert [p.data for p in wire.received()] == [frame]
    assert lan.a.show("carp0")["stats64"]["tx"]["packets"] == before + 1


# -- a gateway


@pytest.fixture
def server(world: World, lan: Lan) -> Host:
    """A host behind a and b, which are two firewalls: 10.9.0.1 is their shared address
    there, 10.0.0.1 that on the client's side."""
    server = world.host("server")
    lan.switch.ip_batch("link add br1 type bridge forward_delay 0", "link set br1 up")
    for host, number in ((lan.a, 2), (lan.b, 3), (server, 9)):
        world.cable(lan.switch, f"{host}.in", host, "eth1")
        lan.switch.ip("link", "set", "dev", f"{host}.in", "master", "br1", "up")
        host.ip_batch("link set eth1 up", f"addr add 10.9.0.{number}/24 dev eth1")
    server.address = "10.9.0.9"
    server.ip("route", "add", "default", "via", "10.9.0.1")
    lan.client.ip("route", "add", "10.9.0.0/24", "via", VIP)
    return server


def test_a_gateway(lan: Lan, server: Host) -> None:
    """Client and server reach each other through the shared addresses of two
    firewalls, with strict rp_filter; after a handover through the other one."""
    for host, skew in zip(lan.hosts, (0, 100), strict=True):
        strict(host)
        host.sysctl("net.ipv4.ip_forward", 1)
        c.create(host, advskew=skew)
        c.create(
            host, vhid=2, advskew=skew, name="carp1", carpdev="eth1", addresses=("10.9.0.1/24",)
        )
    for name in ("carp0", "carp1"):
        c.wait_state(lan.a, "master", name=name)
    for master, other in (lan.hosts, reversed(lan.hosts)):
        for name in ("carp0", "carp1"):
            other.ip("link", "set", name, "down")
            c.wait_state(master, "master", 5, name=name)
            other.ip("link", "set", name, "up")
        forwarded = master.capture("eth1", "icmp")
        pinger = lan.client.ping(server.address)
        time.sleep(0.2)
        pings = pinger.stop()
        assert len(pings) > 100 and not lost(pings)
        assert len(forwarded.packets()) >= 2 * len(pings) - 2, f"{master} forwards them"
        server.run("ping", "-c", "2", "-i", "0.2", "-W", "1", lan.client.address)
