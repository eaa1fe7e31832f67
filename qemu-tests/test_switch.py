# SPDX-License-Identifier: GPL-2.0
"""At which port switches learn the virtual MAC.

A switch learns from the source of frames, and forgets. Advertisements to a multicast
group have the virtual MAC as their source; those to unicast peers have the parent's,
and are accompanied by a frame that has it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from lib import carp as c
from lib.clock import SECOND, wait_for
from lib.frames import Arp, arps, virtual_mac
from lib.host import Host
from lib.lan import VIP, VIP6, Lan

pytestmark = pytest.mark.usefixtures("carp")

IPV4 = (f"{VIP}/24",)
IPV6 = (f"{VIP6}/64",)
VIRTUAL = virtual_mac(1)


def peers(lan: Lan) -> str:
    hosts = lan.hosts
    return "carppeer " + ",".join([h.address for h in hosts] + [h.address6 for h in hosts])


def pair(lan: Lan, addresses: tuple[str, ...] = IPV4) -> None:
    """a is master, b (advskew 100) its backup; each is the other's unicast peer."""
    for host, skew in zip(lan.hosts, (0, 100), strict=True):
        c.create(host, peers(lan), advskew=skew, addresses=addresses)
    c.wait_state(lan.a, "master")
    assert c.state(lan.b) == "backup"


def port(lan: Lan, mac: str = VIRTUAL) -> str | None:
    """The port at which the switch has learned an address."""
    entries = lan.switch.run("bridge", "fdb", "show", "br", "br0").stdout.splitlines()
    for words in map(str.split, entries):
        if words[0] == mac and "permanent" not in words:
            return words[words.index("dev") + 1]
    return None


def shown(host: Host, seconds: float, mac: str = VIRTUAL) -> list[bytes]:
    """The frames that a host sends from the virtual MAC in this time."""
    capture = host.capture(only=f"ether src {mac}")
    time.sleep(seconds)
    frames = [packet.data for packet in capture.sent()]
    capture.close()
    return frames


def split(lan: Lan, *ports: str) -> None:
    """Nothing of CARP leaves the switch by these ports, all else does."""
    lan.switch.run("nft", "add table bridge f")
    lan.switch.run("nft", "add chain bridge f x { type filter hook forward priority 0; }")
    heal(lan, *ports)


def heal(lan: Lan, *still: str) -> None:
    """Advertisements are dropped at these ports alone from now on."""
    lan.switch.run("nft", "flush chain bridge f x")
    for name in still:
        lan.switch.run(
            "nft", f"add rule bridge f x oifname {name} ether type ip ip protocol 112 drop"
        )


@pytest.mark.parametrize("addresses", [IPV4, IPV6], ids=["ipv4", "ipv6"])
def test_a_switch_does_not_forget_the_virtual_mac(lan: Lan, addresses: tuple[str, ...]) -> None:
    """While there is a master; and never learns it at the backup's port. The switch
    forgets after 10 s."""
    lan.switch.ip("link", "set", "br0", "type", "bridge", "ageing_time", "1000")
    pair(lan, addresses=addresses)
    seen = set()
    for _ in range(60):
        time.sleep(0.7)
        seen.add(port(lan))
    assert seen == {"a"}
    assert shown(lan.b, 5) == []


def test_the_addresses_take_turns(lan: Lan) -> None:
    """One frame accompanies each advertisement: an announcement, of another address
    each time, so that who has missed one hears the next."""
    pair(lan, addresses=(*IPV4, "10.0.0.9/24", *IPV6))
    time.sleep(3)  # the announcement of the takeover is repeated
    frames = shown(lan.a, 6)
    assert 5 <= len(frames) <= 7
    kinds = [data[28:32] if data[12:14] == b"\x08\x06" else data[62:78][-1:] for data in frames]
    assert set(kinds) == {bytes([10, 0, 0, 1]), bytes([10, 0, 0, 9]), b"\x01"}
    assert all(a != b for a, b in zip(kinds, kinds[1:], strict=False))
    destinations = {data[:6].hex(":") for data in frames}
    assert destinations == {"ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"}


def test_not_more_than_ten_a_second(lan: Lan) -> None:
    """However short the interval is: a broadcast reaches everybody."""
    pair(lan)
    lan.a.ip(*"link set carp0 type carp advbase 0 advskew 10".split())
    time.sleep(1)
    assert 8 <= len(shown(lan.a, 1)) <= 10


def test_with_a_group_nothing_is_added(lan: Lan) -> None:
    """Neither with multicast nor where one family has no peers: advertisements to the
    group are enough."""
    c.create_pair(lan, addresses=IPV4 + IPV6)
    ipv4_peers = "carppeer " + ",".join(host.address for host in lan.hosts)
    for words in ("-carppeer", ipv4_peers):
        for host in lan.hosts:
            host.ip(*f"link set carp0 type carp {words}".split())
        time.sleep(4)
        assert {data[:6] for data in shown(lan.a, 4)} <= {c.GROUP_MAC, c.GROUP6_MAC}


@pytest.mark.parametrize("still", [(), ("a",)], ids=["in both directions", "towards the backup"])
def test_a_split_heals(lan: Lan, still: Sequence[str]) -> None:
    """Both were master, and the switch believes the one that spoke last. When b gives
    way the clients are back at once, also if a never hears of b."""
    pair(lan)
    split(lan, "a", "b")
    c.wait_state(lan.b, "master")
    wait_for(lambda: port(lan) == "b", 5, "the switch has learned b's port", interval=0.01)
    assert c.state(lan.a) == "master"
    capture = lan.a.capture(only=f"ether src {VIRTUAL}")
    heal(lan, *still)
    c.wait_state(lan.b, "backup", 3)
    gave_way = time.time_ns()
    lan.client.run("ping", "-c1", "-W1", VIP)
    assert port(lan) == "a"
    assert capture.sent()[-1].time < gave_way + SECOND // 10


def test_ports_that_are_blocked_at_boot(lan: Lan) -> None:
    """A host that starts behind a blocked port becomes master and announces in vain.
    When the port opens the switch learns it all the same."""
    pair(lan)
    lan.a.ip("link", "del", "carp0")
    c.wait_state(lan.b, "master")
    lan.hard_cut(lan.a)
    c.create(lan.a, peers(lan))
    c.wait_state(lan.a, "master")
    time.sleep(10)
    assert port(lan) == "b"
    lan.heal(lan.a)
    c.wait_state(lan.b, "backup", 3)
    lan.client.run("ping", "-c1", "-W1", VIP)
    assert port(lan) == "a"


@pytest.mark.parametrize(
    "mode, macs", [("arp", 2), ("ip-unicast", 1), ("ip", 0), ("ip-stealth", 0)]
)
def test_balancing(lan: Lan, mode: str, macs: int) -> None:
    """An address has several masters: what shows a MAC address says nothing of it. In
    the modes that hide theirs nothing is shown."""
    c.create_nodes(lan.a, "1:0,2:0", mode)
    lan.a.ip(*f"link set carp0 type carp {peers(lan)}".split())
    c.wait_masters(lan.a, [1, 2])
    time.sleep(3)
    capture = lan.a.capture(
        only="arp and (ether src 00:00:5e:00:01:01 or ether src 00:00:5e:00:01:02)"
    )
    time.sleep(4)
    probes: list[Arp] = arps(capture.sent())
    assert len({probe.source_mac for probe in probes}) == macs
    assert (len(probes) > 3 * macs) == (macs > 0)
    for probe in probes:
        assert (probe.sender, probe.target, probe.operation) == ("0.0.0.0", VIP, 1)
        assert probe.sender_mac == probe.source_mac
        assert probe.destination_mac == "ff:ff:ff:ff:ff:ff"


def test_stealth_beside_a_host_that_shows_the_virtual_mac(lan: Lan) -> None:
    """OpenBSD does. When it has gone switches would send everything to where it was; so
    who is left alone shows them its own port."""
    c.create_nodes(lan.a, "1:100,2:100", "ip-stealth")
    c.wait_masters(lan.a, [1, 2])
    assert shown(lan.a, 3) == [], "stealth"
    other = c.Advertisement(mac=c.virtual_mac(1))
    for _ in range(4):
        for vhid in (1, 2):
            lan.b.send_frame(other.but(vhid=vhid).frame())
        time.sleep(1)
    assert c.masters(lan.a) == [] and port(lan) == "b"
    c.wait_masters(lan.a, [1, 2])
    time.sleep(0.1)
    lan.client.run("ping", "-c1", "-W1", VIP)
    assert port(lan) == "a"
    assert len(shown(lan.a, 10)) <= 3, "stealth again"
