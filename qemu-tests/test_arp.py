# SPDX-License-Identifier: GPL-2.0
"""Who answers ARP for a shared address, and who asks in its name.

To Linux it is one of the host's own addresses: without care every interface of
every host of the group answers for it, with its own MAC.
"""

from __future__ import annotations

import re
import time

import pytest
from lib import carp as c
from lib.frames import Arp, arps, mac_bytes, virtual_mac
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import VIP, Lan
from lib.pinger import lost
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

VIRTUAL = virtual_mac(1)
OTHER = "02:00:00:00:00:4d"
"""A host that exists only in frames."""


def slow(host: Host) -> None:
    """A backup that takes over after 750 s only: as good as never."""
    c.create(host, "advbase 250")


def ask(host: Host, frame: bytes, device: str = "eth0") -> list[Arp]:
    """Sends a question; returns what was said on that wire in the name of the VIP."""
    capture = host.capture(device, "arp")
    host.send_frame(frame, device)
    time.sleep(0.05)
    heard = arps(capture.received())
    capture.close()
    return [arp for arp in heard if arp.sender == VIP]


def question(sender: str = "10.0.0.100", to: str = "ff:ff:ff:ff:ff:ff") -> bytes:
    """Who has the VIP?"""
    return c.arp(VIP, sender=sender, mac=mac_bytes(OTHER), to=mac_bytes(to))


def second_cable(world: World, lan: Lan) -> None:
    """eth1 of a leads to eth1 of b, and nowhere else."""
    world.cable(lan.a, "eth1", lan.b, "eth1")
    for host, number in ((lan.a, 2), (lan.b, 3)):
        host.ip_batch("link set eth1 up", f"addr add 10.1.0.{number}/24 dev eth1")


def second_port(world: World, lan: Lan, host: Host) -> None:
    """eth1 of a host leads to the switch as well."""
    world.cable(lan.switch, f"{host}1", host, "eth1")
    lan.switch.ip("link", "set", "dev", f"{host}1", "master", "br0", "up")
    host.ip("link", "set", "eth1", "up")


# -- answers


@pytest.mark.parametrize("to", ["ff:ff:ff:ff:ff:ff", VIRTUAL, "02:00:00:00:00:02"])
@pytest.mark.parametrize("sender", ["10.0.0.100", "10.0.0.50", "0.0.0.0"])
@pytest.mark.parametrize("own", [True, False], ids=["", "no-parent-address"])
def test_master_answers(lan: Lan, to: str, sender: str, own: bool) -> None:
    """Once, with the virtual MAC in the body and as source of the frame, to whoever
    asks: everybody, the virtual MAC, the parent's; also one that asks whether the
    address is free (RFC 5227)."""
    if not own:
        lan.a.ip("addr", "del", "10.0.0.2/24", "dev", "eth0")
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    (answer,) = ask(lan.client, question(sender, to))
    assert answer.operation == 2
    assert (answer.sender_mac, answer.source_mac) == (VIRTUAL, VIRTUAL)
    assert (answer.target, answer.target_mac, answer.destination_mac) == (sender, OTHER, OTHER)


def test_every_address_of_the_master_is_answered(lan: Lan) -> None:
    c.create(lan.a, addresses=(f"{VIP}/24", "10.0.0.200/24", "10.0.0.201/32"))
    c.wait_state(lan.a, "master")
    for address in (VIP, "10.0.0.200", "10.0.0.201"):
        capture = lan.client.capture(only="arp")
        lan.client.send_frame(c.arp(address, sender="10.0.0.100", mac=mac_bytes(OTHER)))
        time.sleep(0.05)
        (answer,) = [a for a in arps(capture.received()) if a.sender == address]
        assert (answer.operation, answer.sender_mac) == (2, VIRTUAL)


def test_the_parents_own_address_is_the_parents(lan: Lan) -> None:
    """carp changes nothing about the addresses that are not shared."""
    c.create_pair(lan)
    for host in lan.hosts:
        capture = lan.client.capture(only="arp")
        lan.client.send_frame(c.arp(host.address, sender="10.0.0.100", mac=mac_bytes(OTHER)))
        time.sleep(0.05)
        (answer,) = [a for a in arps(capture.received()) if a.sender == host.address]
        assert (answer.sender_mac, answer.source_mac) == (host.mac, host.mac)


@pytest.mark.parametrize("to", ["ff:ff:ff:ff:ff:ff", VIRTUAL, "02:00:00:00:00:02"])
@pytest.mark.parametrize("own", [True, False], ids=["", "no-parent-address"])
def test_backup_is_silent(lan: Lan, to: str, own: bool) -> None:
    if not own:
        lan.a.ip("addr", "del", "10.0.0.2/24", "dev", "eth0")
    slow(lan.a)
    assert c.state(lan.a) == "backup"
    assert ask(lan.client, question(to=to)) == []
    assert ask(lan.client, question("0.0.0.0", to)) == []


@pytest.mark.parametrize(
    "lines",
    [
        ("link set carp0 down",),
        ("link set carp0 type carp carpdev none",),
        (
            "link del carp0",
            "link add carp0 type carp carpdev eth0",
            f"addr add {VIP}/24 dev carp0",
            "link set carp0 up",
        ),
    ],
    ids=["down", "no-carpdev", "no-vhid"],
)
def test_init_is_silent(lan: Lan, lines: tuple[str, ...]) -> None:
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    lan.a.ip_batch(*lines)
    assert c.state(lan.a) == "init"
    assert ask(lan.client, question()) == []
    assert ask(lan.client, question(to=lan.a.mac)) == []


@pytest.mark.parametrize("state", ["master", "backup", "init"])
def test_other_interfaces_are_silent(world: World, lan: Lan, state: str) -> None:
    """Whatever the state, on an interface that is not the parent nobody answers, nor
    is anything learned there."""
    second_cable(world, lan)
    if state == "backup":
        slow(lan.a)
    else:
        c.create(lan.a)
        c.wait_state(lan.a, "master")
    if state == "init":
        lan.cable_pull(lan.a)
        c.wait_state(lan.a, "init")
    assert ask(lan.b, question("10.1.0.3"), "eth1") == []
    assert ask(lan.b, question("0.0.0.0"), "eth1") == []
    assert "10.1.0.3" not in lan.a.ip("neigh", "show", "dev", "eth1")


@pytest.mark.parametrize("state", ["master", "backup"])
def test_two_interfaces_on_one_segment(world: World, lan: Lan, state: str) -> None:
    """One question reaches both: the parent of the master alone answers it."""
    second_port(world, lan, lan.a)
    if state == "master":
        c.create(lan.a)
        c.wait_state(lan.a, "master")
    else:
        slow(lan.a)
    answers = ask(lan.client, question())
    assert [answer.sender_mac for answer in answers] == [VIRTUAL] * (state == "master")
    assert {answer.source_mac for answer in answers} <= {VIRTUAL}


# -- questions


@pytest.mark.parametrize("own", [True, False], ids=["", "no-parent-address"])
@pytest.mark.parametrize("role", ["master", "backup"])
def test_nobody_asks_in_the_vips_name_with_a_wrong_mac(lan: Lan, role: str, own: bool) -> None:
    """A program that sends from the VIP makes its host ask for the client, "tell VIP":
    whoever heard that from the parent's MAC would learn the wrong one."""
    if not own:
        for host in lan.hosts:
            host.ip("addr", "del", f"{host.address}/24", "dev", "eth0")
    c.create_pair(lan)
    host = lan.a if role == "master" else lan.b
    # by default a backup may not speak in that name at all
    host.sysctl("net.inet.carp.backupsource", "1")
    capture = lan.client.capture(only="arp")
    mine = host.capture(only="arp")
    pinged = host.run("ping", "-c", "2", "-W", "1", "-I", VIP, lan.client.address, check=False)
    heard = arps(capture.received())
    wrong = [a for a in heard if a.sender == VIP and VIRTUAL != a.sender_mac]
    assert not wrong, "somebody told the VIP's neighbours a MAC that is not the virtual one"
    assert {a.source_mac for a in heard if a.sender == VIP} <= {VIRTUAL}
    asked = [a for a in arps(mine.sent()) if a.target == lan.client.address]
    if role == "master":
        assert pinged.returncode == 0, "the master can speak as the VIP"
        assert asked, "the test has made it ask"
    elif own:
        assert asked and {a.sender for a in asked} == {lan.b.address}
    else:
        assert not asked, "a backup without an address of its own has no name to ask in"


def test_the_vip_is_not_announced_by_a_backups_arp_notify(lan: Lan) -> None:
    """arp_notify makes Linux announce all addresses of a device that comes up or
    changes its MAC."""
    c.create_pair(lan)
    capture = lan.client.capture(only="arp")
    for device in ("all", "default", "carp0", "eth0"):
        lan.b.sysctl(f"net.ipv4.conf.{device}.arp_notify", 1)
    lan.b.ip("link", "set", "carp0", "down")
    lan.b.ip("link", "set", "carp0", "up")
    lan.b.ip("link", "set", "carp0", "type", "carp", "vhid", "2")
    lan.b.ip("link", "set", "carp0", "type", "carp", "vhid", "1")
    lan.b.ip("link", "set", "eth0", "down")
    lan.b.ip("link", "set", "eth0", "up")
    lan.b.ip("link", "set", "eth0", "address", "02:00:00:00:00:99")
    time.sleep(1)
    heard = arps(capture.received())
    assert lan.b.address in {a.sender for a in heard}, "eth0 has announced its own"
    assert VIP not in {a.sender for a in heard}
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")


# -- what is learned


def test_the_clients_entry_is_never_wrong(lan: Lan) -> None:
    """Over a failover and back, a client that asks anew all the time has the virtual
    MAC or nothing."""
    c.create_pair(lan, preempt=True)
    monitor = lan.client.spawn("ip", "monitor", "neigh")
    capture = lan.client.capture(only="arp")
    pinger = lan.client.ping(VIP, 0.01)

    def work(seconds: float) -> None:
        for _ in range(round(seconds)):
            lan.client.ip("neigh", "flush", "dev", "eth0")
            for host in lan.hosts:
                host.run("ping", "-c", "1", "-W", "1", "-I", VIP, "10.0.0.100", check=False)

    work(3)
    lan.hard_cut(lan.a)
    work(5)
    assert c.state(lan.b) == "master"
    lan.heal(lan.a)
    work(5)
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    pinger.stop()
    entries = re.findall(rf"^{VIP} .*lladdr ([0-9a-f:]+)", monitor.output(), re.M)
    assert len(entries) > 5
    assert set(entries) == {VIRTUAL}
    told = [a for a in arps(capture.received()) if a.sender == VIP]
    assert {a.sender_mac for a in told} == {a.source_mac for a in told} == {VIRTUAL}


def test_the_master_learns_who_asks(lan: Lan) -> None:
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    lan.a.ip("neigh", "flush", "dev", "eth0")
    lan.client.send_frame(question("10.0.0.50"))
    lan.client.send_frame(question("0.0.0.0"))
    time.sleep(0.05)
    entries = lan.a.ip("neigh", "show", "dev", "eth0")
    assert f"10.0.0.50 lladdr {OTHER}" in entries
    assert "0.0.0.0" not in entries.split()


@pytest.mark.parametrize("sender", ["127.0.0.1", "224.0.0.1", "255.255.255.255", "10.0.0.2", VIP])
def test_a_sender_that_cannot_be_one_is_not_learned(lan: Lan, sender: str) -> None:
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    lan.client.send_frame(question(sender))
    lan.client.send_frame(question(sender, VIRTUAL))
    time.sleep(0.05)
    entries = lan.a.ip("neigh", "show", "nud", "all").split()
    assert OTHER not in entries, f"a martian's question was believed: {entries}"


def test_an_answer_to_the_vip_resolves_a_neighbour(lan: Lan) -> None:
    """Where the parent has no address all traffic goes through carp0, which asks as the
    VIP; the answer comes to the virtual MAC."""
    lan.a.ip("addr", "del", "10.0.0.2/24", "dev", "eth0")
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    capture = lan.client.capture(only="arp")
    lan.a.run("ping", "-c", "2", "-W", "1", lan.client.address)
    assert f"lladdr {lan.client.mac}" in lan.a.ip("neigh", "show", "10.0.0.100", "dev", "carp0")
    asked = [a for a in arps(capture.received()) if a.target == lan.client.address]
    assert asked and asked[0].sender == VIP
    assert {(a.sender_mac, a.source_mac) for a in asked} == {(VIRTUAL, VIRTUAL)}


@pytest.mark.parametrize("reply", [False, True], ids=["request", "reply"])
def test_another_that_announces_the_vip_confuses_nobody(lan: Lan, log: Kmsg, reply: bool) -> None:
    """A host with the same address by mistake: no state changes, no neighbour is
    believed, the log is not flooded, and the others are served."""
    for host in lan.hosts:
        host.sysctl("net.inet.carp.log", 7)
    c.create_pair(lan)
    log.read()
    announcement = c.arp(
        VIP, sender=VIP, mac=mac_bytes(OTHER), reply=reply, target_mac=mac_bytes(OTHER) * reply
    )
    for _ in range(200):
        lan.client.send_frame(announcement)
    time.sleep(0.5)
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    for host in lan.hosts:
        assert OTHER not in host.ip("neigh", "show", "nud", "all")
    lines = log.read()
    assert len(lines) <= 12, lines
    pinger = lan.client.ping(VIP)
    time.sleep(0.2)
    assert not lost(pinger.stop())
