# SPDX-License-Identifier: GPL-2.0
"""What programs send with a shared address as their source: nothing unless master."""

from __future__ import annotations

import contextlib
import errno
import socket
import time

import pytest
from lib import carp as c
from lib.capture import Packet
from lib.clock import wait_for
from lib.host import Host
from lib.lan import VIP, VIP6, Lan
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

BOTH = (f"{VIP}/24", f"{VIP6}/64")
SHARED = [VIP, VIP6]
SYSCTL = "net.inet.carp.backupsource"
TRACKED = """
table ip tracked {
    chain in { type filter hook input priority 0; ct state new counter; }
}
"""


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def send(host: Host, source: str, to: str) -> int:
    """Sends a datagram; what the kernel says to it at once, 0 if it takes it."""
    with host.socket(family(source), socket.SOCK_DGRAM) as s:
        s.bind((source, 0))
        try:
            s.sendto(b"hello", (to, 9))
        except OSError as error:
            return error.errno or -1
    return 0


def client_of(lan: Lan, source: str) -> str:
    return lan.client.address6 if ":" in source else lan.client.address


def with_shared_source(packets: list[Packet], *protocols: int) -> list[bytes]:
    """IP packets from a shared address, but of some protocols."""
    shared = [socket.inet_pton(family(address), address) for address in SHARED]
    found = []
    for packet in packets:
        data = packet.data
        if data[12:14] == b"\x08\x00" and data[26:30] in shared and data[23] not in protocols:
            found.append(data)
        if data[12:14] == b"\x86\xdd" and data[22:38] in shared and data[20] not in protocols:
            found.append(data)
    return found


@pytest.mark.parametrize("source", SHARED)
def test_a_backup_is_silent(lan: Lan, source: str) -> None:
    """Datagrams, connections, pings: the sender is told at once, and carp0 counts."""
    c.create_pair(lan, addresses=BOTH)
    wire = lan.switch.capture(lan.b.name)
    dropped = lan.b.show("carp0")["stats64"]["tx"]["dropped"]
    to = client_of(lan, source)
    assert send(lan.b, source, to) == errno.EHOSTUNREACH
    with lan.b.socket(family(source), socket.SOCK_STREAM) as s:
        s.bind((source, 0))
        s.settimeout(2)
        with contextlib.suppress(OSError):
            s.connect((to, 80))
    lan.b.run("ping", "-c", "2", "-i", "0.2", "-W", "1", "-I", source, to, check=False)
    time.sleep(0.1)
    assert not with_shared_source(wire.received())
    assert lan.b.show("carp0")["stats64"]["tx"]["dropped"] > dropped


@pytest.mark.parametrize("source", SHARED)
def test_who_is_master_speaks_from_then_on(lan: Lan, source: str) -> None:
    """And is silent again as soon as it is not master any more."""
    c.create_pair(lan, addresses=BOTH)
    to = client_of(lan, source)
    assert send(lan.a, source, to) == 0
    lan.a.ip("link", "set", "carp0", "type", "carp", "advskew", "200")
    lan.b.ip("link", "set", "carp0", "type", "carp", "state", "master")
    c.wait_state(lan.b, "master", 1)
    c.wait_state(lan.a, "backup", 3)
    assert send(lan.b, source, to) == 0
    wait_for(lambda: send(lan.a, source, to) == errno.EHOSTUNREACH, 1, "a is silent")


@pytest.mark.parametrize("source", SHARED)
def test_the_administrator_may_let_a_backup_speak(lan: Lan, source: str) -> None:
    c.create_pair(lan, addresses=BOTH)
    assert lan.b.sysctl(SYSCTL) == "0"
    lan.b.sysctl(SYSCTL, 1)
    capture = lan.client.capture(only="udp port 9")
    assert send(lan.b, source, client_of(lan, source)) == 0
    time.sleep(0.1)
    (packet,) = capture.received()
    assert packet.data[6:12] == bytes.fromhex(lan.b.mac.replace(":", ""))


@pytest.mark.parametrize("source", SHARED)
def test_a_backup_speaks_with_itself(lan: Lan, source: str) -> None:
    c.create_pair(lan, addresses=BOTH)
    own = lan.b.address6 if ":" in source else lan.b.address
    for to in (source, own):
        lan.b.run("ping", "-c", "1", "-W", "1", "-I", source, to)


@pytest.mark.parametrize("device", ["eth0", "lo"])
@pytest.mark.parametrize("source", SHARED)
def test_an_address_that_is_another_devices_as_well(lan: Lan, source: str, device: str) -> None:
    c.create_pair(lan, addresses=BOTH)
    length = 128 if ":" in source else 32
    words = ["nodad"] if ":" in source else []
    lan.b.ip("addr", "add", f"{source}/{length}", "dev", device, *words)
    assert send(lan.b, source, client_of(lan, source)) == 0


def test_advertisements_and_group_reports_have_any_source(lan: Lan) -> None:
    """A parent without an address speaks in the shared one's name to switches that
    snoop; and so does a host that is about to be no master any more."""
    for host in lan.hosts:
        host.ip("addr", "del", f"{host.address}/24", "dev", "eth0")
    c.create_pair(lan)
    wire = lan.switch.capture(lan.b.name)
    with lan.b.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        group = socket.inet_aton("239.1.2.3") + socket.inet_aton("0.0.0.0")
        index = lan.b.link("eth0").index.to_bytes(4, "little")
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + index)
        time.sleep(2)
    reports = [p for p in wire.received() if p.data[12:14] == b"\x08\x00" and p.data[23] == 2]
    assert reports, "the parent says that it listens"
    assert not with_shared_source(wire.received(), 2)


@pytest.mark.parametrize("mode", ["ip", "ip-stealth", "arp"])
def test_who_is_master_of_something_speaks(lan: Lan, mode: str) -> None:
    for host, nodes in zip(lan.hosts[:2], ("1:0,2:100", "1:100,2:0"), strict=True):
        c.create_nodes(host, nodes, mode)
    c.wait_masters(lan.a, [1])
    c.wait_masters(lan.b, [2])
    for host in lan.hosts[:2]:
        assert send(host, VIP, lan.client.address) == 0


@pytest.mark.parametrize("source", SHARED)
def test_in_a_vrf(lan: Lan, source: str) -> None:
    """What programs in the VRF send, and what they say to themselves."""
    for host in lan.hosts[:2]:
        host.ip_batch("link add red type vrf table 10", "link set red up")
        c.create(host, advskew=100 if host is lan.b else 0, addresses=(), up=False)
        host.ip_batch(
            "link set eth0 master red",
            "link set carp0 master red",
            f"addr add {host.address6}/64 dev eth0 nodad",
            *(f"addr add {address} dev carp0" for address in BOTH),
            "link set carp0 up",
        )
    c.wait_state(lan.a, "master")
    c.wait_state(lan.b, "backup")

    def ping(host: Host, to: str) -> bool:
        command = ("ping", "-c", "1", "-W", "1", "-I", "red", "-I", source, to)
        return host.run(*command, check=False).returncode == 0

    wire = lan.switch.capture(lan.b.name)
    assert ping(lan.a, client_of(lan, source))
    assert ping(lan.b, source)
    ping(lan.b, client_of(lan, source))
    time.sleep(0.1)
    assert not with_shared_source(wire.received())


def test_a_container_is_answered(lan: Lan, world: World) -> None:
    """It reaches the shared address on its own host, backup or not, if connection
    tracking knows that it was the one to ask."""
    c.create_pair(lan)
    inner = world.host("inner")
    world.cable(lan.b, "veth0", inner, "eth0")
    lan.b.ip_batch("addr add 10.9.0.1/24 dev veth0", "link set veth0 up")
    inner.ip_batch(
        "addr add 10.9.0.2/24 dev eth0",
        "link set eth0 up",
        "route add default via 10.9.0.1",
    )
    lan.b.run("nft", "-f", "-", input=TRACKED)
    inner.run("ping", "-c", "1", "-W", "1", VIP)
    lan.b.run("nft", "flush", "ruleset")
