# SPDX-License-Identifier: GPL-2.0
"""What is changed while hosts are running, and what the others notice of it."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import statistics
import time
from collections.abc import Callable

import pytest
from lib import carp as c
from lib import flows, kernel
from lib.clock import MILLISECOND, SECOND, wait_for
from lib.frames import Advertisement, advertisements, digest, mac_bytes, virtual_mac
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import VIP, VIP6, Lan
from lib.pinger import longest_gap, lost
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

OWN = "02:00:00:00:00:77"
"""A link-layer address set by hand."""
GRACE = 60
"""For so many seconds the list of addresses before a change is believed as well."""
Figure = Callable[[str, float, str], None]


def change(host: Host, *words: str, name: str = "carp0") -> None:
    host.ip("link", "set", name, "type", "carp", *words)


def set_lladdr(host: Host, mac: str) -> None:
    host.ip("link", "set", "carp0", "address", mac)


def preempting(lan: Lan) -> None:
    for host in lan.hosts:
        host.sysctl("net.inet.carp.preempt", 1)


def said(host: Host, seconds: float = 2.5) -> list[Advertisement]:
    """What the host advertises for a while."""
    capture = host.capture(only="ip proto 112")
    time.sleep(seconds)
    heard = advertisements(capture.sent())
    capture.close()
    return heard


def never_two(lan: Lan, act: Callable[[], object], seconds: float = 6) -> None:
    """While and after something is done a is master and b is not: b sends no single
    advertisement, and a goes on."""
    spoken = {host: host.capture(only="ip proto 112") for host in lan.hosts}
    act()
    time.sleep(seconds)
    of_a, of_b = (advertisements(spoken[host].sent()) for host in (lan.a, lan.b))
    for capture in spoken.values():
        capture.close()
    assert not of_b, "b took itself for the master"
    gaps = [b.time - a.time for a, b in itertools.pairwise(of_a)]
    assert max(gaps) < 1.1 * SECOND
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")


# -- state


def test_state_with_several_nodes(lan: Lan) -> None:
    """Forces all of them, once: the election goes on from there."""
    for host, nodes in zip(lan.hosts, ("1:0,2:0", "1:100,2:100"), strict=True):
        c.create_nodes(host, nodes)
    c.wait_masters(lan.a, [1, 2])
    change(lan.a, "state", "backup")
    assert c.masters(lan.a) == []
    c.wait_masters(lan.b, [1, 2], 0.5)
    change(lan.a, "state", "master")
    assert c.masters(lan.a) == [1, 2]
    c.wait_masters(lan.b, [], 0.5)


# -- the link-layer address


def test_a_link_layer_address_of_its_own(lan: Lan) -> None:
    """Traffic for it reaches the master; a backup leaves it alone. Neighbours learn it."""
    c.create_pair(lan)
    pinger = lan.client.ping(VIP)
    time.sleep(0.05)
    for host in reversed(lan.hosts):
        set_lladdr(host, OWN)
    time.sleep(0.05)
    assert not lost(pinger.stop()), "the announcement brought everyone along"
    assert f"lladdr {OWN}" in lan.client.ip("neigh", "show", VIP)
    # what a switch that does not know yet would send to all
    capture = lan.b.capture()
    request = flows.echo_request("10.0.0.100", OWN)
    lan.switch.send_frame(request, "b")
    time.sleep(0.02)
    assert request in [packet.data for packet in capture.received()]
    assert not [packet for packet in capture.sent() if packet.data[23] == 1]
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)
    lan.client.run("ping", "-c", "2", "-i", "0.2", "-W", "1", VIP)
    # back to that of the vhid
    set_lladdr(lan.b, virtual_mac(1))
    lan.client.run("ping", "-c", "2", "-i", "0.2", "-W", "1", VIP)
    assert f"lladdr {virtual_mac(1)}" in lan.client.ip("neigh", "show", VIP)


def digest_with(mac: str, counter: bytes, vhid: int = 1) -> bytes:
    """An advertisement's digest with a link-layer address in it, before the vhid."""
    text = bytes([2, 1]) + mac_bytes(mac) + bytes([vhid, 10, 0, 0, 1])
    return hmac.digest(c.PASS.encode().ljust(20, b"\0"), text + counter, hashlib.sha1)


def test_the_digest_covers_the_link_layer_address(lan: Lan) -> None:
    """That of the leader, if it is neither the vhid's own nor the parent's; a host that
    has another one is not believed, nor believes."""
    c.create_pair(lan)
    plain = said(lan.a)
    assert {a.digest for a in plain} == {digest(c.PASS, 1, (VIP,), plain[0].counter)}
    for host in lan.hosts:
        set_lladdr(host, OWN)
    never_two(lan, lambda: None, 5)
    spoken = said(lan.a)
    assert {a.digest for a in spoken} == {digest_with(OWN, spoken[0].counter)}
    assert {a.source_mac for a in spoken} == {OWN}
    set_lladdr(lan.b, "02:00:00:00:00:78")
    c.wait_state(lan.b, "master", 5)
    assert c.info(lan.b)["digest_differs"] < 2000
    set_lladdr(lan.b, OWN)
    c.wait_state(lan.b, "backup", 5)
    wait_for(lambda: "digest_differs" not in c.info(lan.b), 2, "both agree again", 0.2)


def test_the_parents_own_address(lan: Lan) -> None:
    """It is not hashed, whichever of the two is changed to it; and it stays the
    parent's: a backup that has it is reached at it all the same."""
    c.create_pair(lan)
    set_lladdr(lan.b, lan.b.mac)
    never_two(lan, lambda: None, 5)
    lan.client.ip("neigh", "replace", lan.b.address, "lladdr", lan.b.mac, "dev", "eth0")
    lan.client.run("ping", "-c", "2", "-i", "0.2", "-W", "1", lan.b.address)
    # the parent becomes what the interface already is
    set_lladdr(lan.a, OWN)
    spoken = said(lan.a)
    assert {a.digest for a in spoken} == {digest_with(OWN, spoken[0].counter)}
    lan.a.ip("link", "set", "eth0", "address", OWN)
    spoken = said(lan.a)
    assert {a.digest for a in spoken} == {digest(c.PASS, 1, (VIP,), spoken[0].counter)}
    c.wait_state(lan.b, "backup", 5)
    lan.client.run("ping", "-c", "2", "-i", "0.2", "-W", "1", VIP)


def test_an_address_that_looks_like_another_vhids(lan: Lan) -> None:
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    set_lladdr(lan.a, virtual_mac(9))
    lan.client.run("ping", "-c", "2", "-i", "0.2", "-W", "1", VIP)
    assert f"lladdr {virtual_mac(9)}" in lan.client.ip("neigh", "show", VIP)


# -- carpdev


def test_a_master_moves_to_another_carpdev(world: World, lan: Lan) -> None:
    """It says farewell where it was and is elected where it comes to; on the old
    parent nothing of it remains."""
    world.cable(lan.switch, "a1", lan.a, "eth1")
    lan.switch.ip("link", "set", "dev", "a1", "master", "br0", "up")
    lan.a.ip_batch("link set eth1 up", "addr add 10.0.0.20/24 dev eth1")
    preempting(lan)
    c.create_pair(lan, preempt=True)
    wire = lan.switch.capture("a", only="ip proto 112")
    change(lan.a, "carpdev", "eth1")
    assert c.info(lan.a)["carpdev"] == "eth1"
    c.wait_state(lan.b, "master", 0.5)
    assert advertisements(wire.received())[-1].advbase == 255
    c.wait_state(lan.a, "master", 5)
    c.wait_state(lan.b, "backup", 1)
    lan.client.ip("neigh", "flush", "dev", "eth0")
    lan.client.run("ping", "-c", "2", "-i", "0.2", "-W", "1", VIP)
    assert {a.source for a in said(lan.a) + advertisements(wire.received())} == {lan.a.address}
    spoken = lan.a.capture("eth1", "ip proto 112")
    time.sleep(1.5)
    assert {a.source for a in advertisements(spoken.sent())} == {"10.0.0.20"}
    # vhid 1 is free on eth0
    c.create(lan.a, name="carp1", addresses=("10.0.0.5/24",))


def carpdev(host: Host, name: str = "carp0") -> str | None:
    return c.info(host, name).get("carpdev")


def test_carpdev_by_subnet(lan: Lan) -> None:
    """An interface that was given none takes the one that has an address in the subnet
    of its first address, and is elected there."""
    host = lan.a
    host.ip_batch(
        "link add wide arp on type dummy",
        "addr add 10.0.9.9/16 dev wide",
        "link add other arp on type dummy",
        "addr add 10.7.0.2/24 dev other",
        "link add carp0 type carp vhid 1 pass secret",
        "link set carp0 up",
    )
    assert carpdev(host) is None
    host.ip("addr", "add", "192.0.2.1/24", "dev", "carp0")
    assert carpdev(host) is None, "there is none for that"
    host.ip("addr", "del", "192.0.2.1/24", "dev", "carp0")
    host.ip("addr", "add", f"{VIP}/24", "dev", "carp0")
    assert carpdev(host) == "eth0", "the longest prefix wins"
    c.wait_state(host, "master")
    lan.client.run("ping", "-c", "1", "-W", "1", VIP)
    # what was chosen stays: another address does not move it
    host.ip("addr", "add", "10.7.0.1/24", "dev", "carp0")
    assert carpdev(host) == "eth0"
    # by hand: away, and away it stays until the next address
    change(host, "-carpdev")
    assert c.state(host) == "init"
    host.ip("link", "set", "carp0", "down")
    host.ip("link", "set", "carp0", "up")
    change(host, "advskew", "3")
    assert carpdev(host) is None
    host.ip("addr", "add", "10.0.77.1/32", "dev", "carp0")
    assert carpdev(host) == "wide"


def test_carpdev_by_an_ipv6_subnet(lan: Lan) -> None:
    """The same with IPv6 alone; link-local addresses say nothing."""
    host = lan.a
    host.ip_batch(
        "link add wide up arp on type dummy",
        "addr add fd00::9/32 dev wide nodad",
        "addr replace fe80::9/64 dev wide nodad",
        "link add carp0 type carp vhid 1 pass secret",
        "link set carp0 up",
        "addr add fe80::1/64 dev carp0",
        "addr add 2001:db8::1/64 dev carp0",
    )
    assert carpdev(host) is None, "there is none for these"
    host.ip("addr", "add", f"{VIP6}/64", "dev", "carp0")
    assert carpdev(host) == "eth0", "the longest prefix wins"
    c.wait_state(host, "master")
    lan.client.run("ping", "-c", "1", "-W", "1", VIP6)


def test_an_explicit_carpdev_wins(lan: Lan) -> None:
    lan.a.ip("link", "add", "other", "arp", "on", "type", "dummy")
    c.create(lan.a, carpdev="other", up=False)
    assert carpdev(lan.a) == "other"
    lan.a.ip("link", "add", "carp1", "type", "carp")
    lan.a.ip("addr", "add", "10.0.0.7/24", "dev", "carp1")
    assert carpdev(lan.a, "carp1") == "eth0"
    change(lan.a, "carpdev", "other", "vhid", "2", name="carp1")
    lan.a.ip("addr", "add", "10.0.0.8/24", "dev", "carp1")
    assert carpdev(lan.a, "carp1") == "other"


def test_what_is_no_carpdev_is_not_chosen(lan: Lan, world: World) -> None:
    """Another carp interface, what is not Ethernet, and what another namespace has."""
    host = world.host("c")
    kernel.load("tun")
    host.ip_batch(
        "link add eth0 arp on type dummy",
        "link add carp9 type carp vhid 9 carpdev eth0",
        "addr add 10.0.0.9/24 dev carp9",
        "tuntap add tun1 mode tun",
        "addr add 10.0.0.10/24 dev tun1",
        "addr add 10.0.0.11/24 dev lo",
        "link add carp0 type carp vhid 1",
        f"addr add {VIP}/24 dev carp0",
    )
    assert carpdev(host) is None


def test_a_carpdev_that_cannot_be_is_told(lan: Lan, log: Kmsg) -> None:
    """The address is added all the same, and the log says what is wrong."""
    c.create(lan.a)
    lan.a.ip("link", "add", "carp1", "type", "carp", "vhid", "1")
    log.read()
    lan.a.ip("addr", "add", "10.0.0.7/24", "dev", "carp1")
    assert carpdev(lan.a, "carp1") is None
    (line,) = [line for line in log.read() if "carp1" in line]
    assert "eth0" in line and "vhid 1 is in use on eth0 already" in line
    assert "10.0.0.7" in lan.a.ip("addr", "show", "dev", "carp1")


# -- vhid and carpnodes


def test_vhid_changed_while_running(lan: Lan) -> None:
    """The master bows out as the old one; as the new one it begins as a backup."""
    c.create_pair(lan)
    wire = lan.client.capture(only="ip proto 112")
    change(lan.a, "vhid", "7")
    assert c.state(lan.a) == "backup"
    c.wait_state(lan.b, "master", 0.5)
    farewell, first, *_ = [a for a in advertisements(wire.received()) if a.time]
    assert (farewell.vhid, farewell.advbase, first.vhid) == (1, 255, 1)
    assert lan.a.link("carp0").address == virtual_mac(7)
    change(lan.b, "vhid", "7")
    c.wait_state(lan.a, "master", 5)
    c.wait_state(lan.b, "backup", 5)
    spoken = said(lan.a)
    assert {(a.vhid, a.source_mac) for a in spoken} == {(7, virtual_mac(7))}
    assert spoken[0].authentic(c.PASS, (VIP,))
    lan.client.run("ping", "-c", "2", "-i", "0.2", "-W", "1", VIP)


def test_carpnodes_changed_while_running(lan: Lan) -> None:
    """The ones that stay keep their state, whatever comes and goes beside them, the
    leader too; the ones that go say farewell, the new ones begin as backups."""
    c.create_nodes(lan.a, "10:0,20:0")
    c.wait_masters(lan.a, [10, 20])
    wire = lan.client.capture(only="ip proto 112")

    def step(nodes: str, masters: list[int], farewells: set[int]) -> None:
        """What holds right after a change, and at the end."""
        wire.packets()
        before = len(advertisements(wire.received()))
        change(lan.a, "carpnodes", nodes)
        assert c.masters(lan.a) == masters
        all_of_them = [int(node.split(":")[0]) for node in nodes.split(",")]
        c.wait_masters(lan.a, all_of_them)
        heard = advertisements(wire.received())[before:]
        assert {a.vhid for a in heard if a.advbase == 255} == farewells
        for advertisement in heard:
            assert advertisement.authentic(c.PASS, (VIP,))

    step("10:0,20:0,30:0", [10, 20], set())
    step("10:5,30:0", [10, 30], {20})
    step("5:0,10:0,30:0", [10, 30], set())
    assert lan.a.link("carp0").address == "01:00:5e:00:01:05"
    step("10:0", [10], {5, 30})
    assert lan.a.link("carp0").address == virtual_mac(10)
    assert c.info(lan.a)["balancing"] == "none"
    lan.client.run("ping", "-c", "1", "-W", "1", VIP)
    step("10:0,11:0", [10], set())
    change(lan.a, "balancing", "arp")
    assert c.masters(lan.a) == [10, 11]
    change(lan.a, "carpnodes", "11:0", "balancing", "none")
    assert c.masters(lan.a) == [11]
    lan.client.run("ping", "-c", "1", "-W", "1", VIP)


def test_balancing_switched_on_and_off(lan: Lan) -> None:
    """From one virtual host to two and back, on both hosts one after the other: the
    address is never without a master of vhid 1."""
    c.create_pair(lan)
    wire = lan.client.capture(only="ip proto 112")
    for nodes in ("1:0,2:100", "1:0"):
        for host in lan.hosts:
            change(host, "carpnodes", nodes.replace(":0", ":100") if host is lan.b else nodes)
            time.sleep(5)
    heard = advertisements(wire.received(), vhid=1)
    assert {a.source for a in heard} == {lan.a.address}
    assert max(b.time - a.time for a, b in itertools.pairwise(heard)) < 1.1 * SECOND


# -- addresses


@pytest.mark.parametrize("order", ["master first", "backup first"])
def test_addresses_change_without_a_second_master(lan: Lan, order: str) -> None:
    """Address by address, on one host after the other, in the time that there is for
    it; afterwards nothing of old is believed or said."""
    c.create_pair(lan)
    hosts = lan.hosts if order == "master first" else lan.hosts[::-1]
    for host in hosts:
        # else the first address of a subnet takes the others with it
        host.sysctl("net.ipv4.conf.carp0.promote_secondaries", 1)

    def edit() -> None:
        for host in hosts:
            host.ip("addr", "add", "10.0.0.60/24", "dev", "carp0")
            time.sleep(4)
            host.ip_batch(
                "addr add 10.0.0.61/24 dev carp0",
                "addr add 10.0.0.62/24 dev carp0",
                f"addr del {VIP}/24 dev carp0",
            )
            time.sleep(10)

    never_two(lan, edit, seconds=GRACE + 10)
    addresses = ("10.0.0.60", "10.0.0.61", "10.0.0.62")
    for host in lan.hosts:
        shown = c.info(host)
        assert sorted(shown["addresses"]) == list(addresses)
        assert "digest_differs" not in shown
    spoken = said(lan.a)
    assert 2 <= len(spoken) <= 3, "one advertisement a second again"
    assert all(a.authentic(c.PASS, addresses) for a in spoken)


def test_hosts_that_go_on_to_differ(lan: Lan, log: Kmsg) -> None:
    """When the time is over, both are master; the log and ip say why, with the list,
    and say it no more once they agree."""
    for host in lan.hosts:
        host.sysctl("net.inet.carp.log", 6)
    c.create_pair(lan)
    log.read()
    lan.a.ip("addr", "add", "10.0.0.60/24", "dev", "carp0")
    never_two(lan, lambda: None, GRACE - 5)
    c.wait_state(lan.b, "master", 10)
    time.sleep(2)
    assert c.state(lan.a) == "master"
    lists = {lan.a: [VIP, "10.0.0.60"], lan.b: [VIP]}
    for host, addresses in lists.items():
        shown = c.info(host)
        assert shown["digest_differs"] < 1500
        assert shown["addresses"] == addresses
        text = host.ip("-d", "link", "show", "dev", "carp0")
        assert "digest differs: address list or passphrase" in text
        assert ",".join(addresses) in text
    lines = [line for line in log.read() if "differs" in line]
    expected = "{} dropped: address list or passphrase differs; carp0 has {}"
    for host, other in (lan.hosts, lan.hosts[::-1]):
        wanted = expected.format(other.address, ", ".join(lists[host]))
        assert any(wanted in line for line in lines), lines
    lan.b.ip("addr", "add", "10.0.0.60/24", "dev", "carp0")
    c.wait_state(lan.b, "backup", 3)
    for host in lan.hosts:
        text = host.ip("-d", "link", "show", "dev", "carp0")
        assert ("digest differs" in text) == (host is lan.a), "who hears nothing hears no better"
    time.sleep(3)


def test_another_passphrase(lan: Lan, log: Kmsg) -> None:
    """It holds at once, for it is changed because the old one is not to be believed any
    more: both are master until the other host has it as well."""
    for host in lan.hosts:
        host.sysctl("net.inet.carp.log", 6)
    c.create_pair(lan)
    change(lan.a, "pass", "verysecret")
    c.wait_state(lan.b, "master", 5)
    time.sleep(1.5)
    assert c.state(lan.a) == "master"
    for host in lan.hosts:
        assert c.info(host)["digest_differs"] < 1500
        text = host.ip("-d", "link", "show", "dev", "carp0")
        assert f"digest differs: address list or passphrase; addresses {VIP}" in text
    change(lan.b, "pass", "verysecret")
    c.wait_state(lan.b, "backup", 3)
    assert c.state(lan.a) == "master"
    wait_for(lambda: "digest_differs" not in c.info(lan.b), 3, "the backup hears the master", 0.2)
    assert not [line for line in log.read() if "secret" in line]


# -- below a second


def test_sub_second(lan: Lan, figure: Figure) -> None:
    """advbase 0: hosts with advskew 10 and 20 advertise every 39 ms. The better one is
    cut off, again and again, at another moment of its interval each time."""
    preempting(lan)
    for host, skew in zip(lan.hosts, (10, 20), strict=True):
        c.create(host, "advbase 0", advskew=skew)
    c.wait_state(lan.a, "master", 1)
    c.wait_state(lan.b, "backup", 1)
    bound = 3 * 20 * SECOND // 256
    silences, outages = [], []
    for run in range(kernel.times(50)):
        time.sleep(0.3 + run * 0.0008)
        capture = lan.client.capture(only="ip proto 112")
        pinger = lan.client.ping(VIP)
        time.sleep(0.1)
        lan.hard_cut(lan.a)
        time.sleep(0.3)
        outages.append(longest_gap(pinger.stop()).seconds * 1e3)
        heard = advertisements(capture.received())
        capture.close()
        (changed,) = [
            (before, after)
            for before, after in itertools.pairwise(heard)
            if before.source != after.source
        ]
        silences.append(changed[1].time - changed[0].time)
        assert c.state(lan.b) == "master"
        lan.heal(lan.a)
        c.wait_state(lan.b, "backup", 1)
        assert c.state(lan.a) == "master"
    for what, values in (
        ("outage of a hard cut, advbase 0, advskew 10 against 20", outages),
        ("silence over 3 * 20/256 s", [(silence - bound) / 1e6 for silence in silences]),
    ):
        figure(f"{what}, minimum of 50", min(values), "ms")
        figure(f"{what}, median", statistics.median(values), "ms")
        figure(f"{what}, maximum", max(values), "ms")
    assert min(silences) > bound - 0.01 * MILLISECOND
    assert max(silences) <= bound + kernel.work(MILLISECOND)
    assert max(outages) <= bound / MILLISECOND + kernel.work(3)
