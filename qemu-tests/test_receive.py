# SPDX-License-Identifier: GPL-2.0
"""What a host takes for an advertisement, and what it counts the rest under."""

from __future__ import annotations

import socket
import struct
import time

import pytest
from lib import carp as c
from lib.carp import counted, sends, with_checksum
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import VIP, Lan
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

BETTER = c.Advertisement(advskew=0)
"""A master that believed this one would give way (see be_master)."""


def be_master(host: Host) -> None:
    c.create(host, advskew=100)
    c.wait_state(host, "master")


def be_backup(host: Host) -> None:
    """A backup that takes over after 750 s: as good as never."""
    c.create(host, "advbase 250")
    assert c.state(host) == "backup"


BECOME = {"master": be_master, "backup": be_backup}
roles = pytest.mark.parametrize("role", BECOME)


def vrrp(version: int, addresses: int) -> bytes:
    """A VRRP advertisement of virtual router 1, as keepalived sends it."""
    body = bytes([version << 4 | 1, 1, 254, addresses, 0, 1, 0, 0])
    body += b"".join(bytes([10, 0, 0, 1 + n]) for n in range(addresses))
    if version == 2:
        body += bytes(8)
    return c.frame(with_checksum(body), source="10.0.0.77", mac=c.virtual_mac(1))


GOOD = BETTER.payload()
DISCARDED: dict[str, tuple[str, bytes]] = {
    "ttl 254": ("rx_bad_ttl", BETTER.but(ttl=254).frame()),
    "ttl 1": ("rx_bad_ttl", BETTER.but(ttl=1).frame()),
    "checksum": ("rx_bad_checksum", BETTER.frame(GOOD[:6] + b"\x12\x34" + GOOD[8:])),
    "a bit": ("rx_bad_checksum", BETTER.frame(GOOD[:30] + bytes([GOOD[30] ^ 4]) + GOOD[31:])),
    "version 1": ("rx_bad_version", BETTER.but(version=1).frame()),
    "version 3": ("rx_bad_version", BETTER.but(version=3).frame()),
    "vhid": ("rx_bad_vhid", BETTER.but(vhid=2).frame()),
    "vhid 0": ("rx_bad_vhid", BETTER.but(vhid=0).frame()),
    "passphrase": ("rx_bad_auth", BETTER.but(password="Secret").frame()),
    "no passphrase": ("rx_bad_auth", BETTER.but(password="").frame()),
    "one address more": ("rx_bad_auth", BETTER.but(addresses=(VIP, "10.0.0.9")).frame()),
    "other address": ("rx_bad_auth", BETTER.but(addresses=("10.0.0.9",)).frame()),
    "no address": ("rx_bad_auth", BETTER.but(addresses=()).frame()),
    "counter": ("rx_bad_auth", BETTER.frame(with_checksum(GOOD[:8] + bytes(8) + GOOD[16:]))),
    "VRRPv2": ("rx_bad_length", vrrp(2, 1)),
    "VRRPv2, long enough": ("rx_bad_auth", vrrp(2, 7)),
    "VRRPv2, longer": ("rx_bad_checksum", vrrp(2, 9)),
    "VRRPv3": ("rx_bad_length", vrrp(3, 1)),
}


@roles
def test_discards(lan: Lan, role: str) -> None:
    """Each is counted under its heading and under no other, and changes no state."""
    BECOME[role](lan.a)
    for what, (heading, frame) in DISCARDED.items():
        assert counted(lan.a, sends(lan.client, frame)) == {"rx_ipv4": 1, heading: 1}, what
        assert c.state(lan.a) == role, what
    # what all this was compared with
    assert counted(lan.a, sends(lan.client, BETTER.frame())) == {"rx_ipv4": 1}
    assert c.state(lan.a) == "backup"


@roles
def test_short_packets(lan: Lan, role: str) -> None:
    """Of all lengths, on a wire that pads frames and on one that does not."""
    BECOME[role](lan.a)
    for padding in (0, 60):
        frames = [BETTER.frame(GOOD[:length]).ljust(padding, b"\0") for length in range(36)]
        expected = {"rx_ipv4": 36, "rx_bad_length": 36}
        assert counted(lan.a, sends(lan.client, *frames)) == expected
    assert c.state(lan.a) == role


def test_discarded_packets_do_not_quiet_a_backup(lan: Lan) -> None:
    """It takes over after its three seconds all the same."""
    c.create(lan.a)
    created = time.monotonic()
    # to send them takes a while on a slow kernel
    while time.monotonic() < created + 2.4:
        time.sleep(0.4)
        sends(lan.client, *(frame for _, frame in DISCARDED.values()))()
    assert c.state(lan.a) == "backup"
    time.sleep(created + 3.2 - time.monotonic())
    assert c.state(lan.a) == "master"


def test_an_interface_that_is_init(lan: Lan) -> None:
    c.create(lan.a, up=False)
    assert counted(lan.a, sends(lan.client, BETTER.frame())) == {"rx_ipv4": 1, "rx_bad_vhid": 1}
    assert c.state(lan.a) == "init"


def test_own_echo(lan: Lan) -> None:
    """Our own advertisement that comes back is a failure of authentication, and
    counted besides. The host itself does not loop it back."""
    be_master(lan.a)
    capture = lan.client.capture(only="ip proto 112")
    time.sleep(5)
    assert c.stats(lan.a)["rx_ipv4"] == 0
    own = c.heard(capture.packets())[0].data
    expected = {"rx_ipv4": 1, "rx_bad_auth": 1, "rx_echo": 1}
    assert counted(lan.a, sends(lan.client, own)) == expected
    assert c.state(lan.a) == "master"


def test_a_replayed_advertisement_is_an_advertisement(lan: Lan) -> None:
    """Nobody checks that the counter grows: who has recorded a master's advertisement
    can keep a backup quiet with it after the master's death. The protocol is that
    weak; what is said here is that we know."""
    c.create_pair(lan)
    capture = lan.client.capture(only="ip proto 112")
    time.sleep(1.5)
    recorded = c.heard(capture.packets())[0].data
    lan.hard_cut(lan.a)
    for _ in range(10):
        time.sleep(1)
        assert counted(lan.b, sends(lan.client, recorded)) == {"rx_ipv4": 1}
    assert c.state(lan.b) == "backup"
    c.wait_state(lan.b, "master", 4)


def test_what_is_not_checked(lan: Lan) -> None:
    """Type and authlen, which no implementation checks; the Ethernet source, which
    every one has its own idea of; and what follows the 36 bytes."""
    be_master(lan.a)
    unchecked = {
        "type": BETTER.frame(with_checksum(b"\x2f" + GOOD[1:])),
        "authlen": BETTER.frame(with_checksum(GOOD[:3] + b"\xff" + GOOD[4:])),
        "source": BETTER.but(mac=c.virtual_mac(1)).frame(),
        "ucarp's source": BETTER.but(mac=bytes.fromhex("00005e000001")).frame(),
        "one byte more": BETTER.frame(GOOD + b"!"),
        "many bytes more": BETTER.frame(GOOD + bytes(range(256)) * 5),
    }
    for what, frame in unchecked.items():
        assert counted(lan.a, sends(lan.client, frame)) == {"rx_ipv4": 1}, what
        assert c.state(lan.a) == "backup", what
        lan.a.ip("link", "set", "carp0", "type", "carp", "state", "master")


@roles
def test_not_allowed(lan: Lan, role: str) -> None:
    lan.a.sysctl("net.inet.carp.allow", 0)
    BECOME[role](lan.a)
    expected = {"rx_ipv4": 1, "rx_not_allowed": 1}
    assert counted(lan.a, sends(lan.client, BETTER.frame())) == expected
    # which is asked before anything else
    bad = BETTER.but(ttl=1, vhid=9).frame()
    assert counted(lan.a, sends(lan.client, bad)) == expected
    assert c.state(lan.a) == role


def test_unicast(lan: Lan) -> None:
    """An interface that advertises to the group hears the group alone, as on OpenBSD;
    an advertisement sent to the host's own address is none of its."""
    be_master(lan.a)
    frame = c.frame(GOOD, destination=lan.a.address, to=bytes.fromhex("020000000002"))
    assert counted(lan.a, sends(lan.client, frame)) == {"rx_ipv4": 1, "rx_bad_vhid": 1}
    assert c.state(lan.a) == "master"


@roles
def test_interfaces_without_carp(world: World, lan: Lan, role: str) -> None:
    """A second interface is in the group (a router's daemon has joined it there): what
    it hears is counted, and belongs to no virtual host."""
    world.cable(lan.a, "eth1", lan.b, "eth1")
    for host in lan.hosts:
        host.ip("link", "set", "eth1", "up")
    lan.a.ip("addr", "add", "10.1.0.2/24", "dev", "eth1")
    BECOME[role](lan.a)
    member = lan.a.socket(socket.AF_INET, socket.SOCK_DGRAM)
    request = socket.inet_aton(c.GROUP) + socket.inet_aton("10.1.0.2")
    member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    frame = BETTER.but(source="10.1.0.77").frame()
    expected = {"rx_ipv4": 1, "rx_bad_interface": 1}
    assert counted(lan.a, sends(lan.b, frame, device="eth1")) == expected
    assert c.state(lan.a) == role
    member.close()


SOURCES = ("10.0.0.77", VIP, "0.0.0.0", "192.0.2.1")


@pytest.mark.parametrize("rp_filter", [0, 1, 2])
@pytest.mark.parametrize("own", [True, False], ids=["", "no-parent-address"])
def test_sources(lan: Lan, rp_filter: int, own: bool) -> None:
    """Whatever a peer's source is, it is heard: an address of its own, the shared
    address, which is ours as well and thus a martian to IP; FreeBSD's 0.0.0.0; one of
    another network."""
    for device in ("all", "default", "eth0"):
        lan.a.sysctl(f"net.ipv4.conf.{device}.rp_filter", rp_filter)
    if not own:
        lan.a.ip("addr", "del", f"{lan.a.address}/24", "dev", "eth0")
    be_backup(lan.a)
    for source in SOURCES:
        frame = BETTER.but(source=source).frame()
        assert counted(lan.a, sends(lan.client, frame)) == {"rx_ipv4": 1}, source


@pytest.mark.parametrize("rp_filter", [0, 1])
def test_election_between_parents_without_addresses(lan: Lan, rp_filter: int) -> None:
    """The shared address is then the source of all advertisements."""
    for host in lan.hosts:
        host.sysctl("net.ipv4.conf.all.rp_filter", rp_filter)
        host.sysctl("net.ipv4.conf.eth0.rp_filter", rp_filter)
        host.ip("addr", "del", f"{host.address}/24", "dev", "eth0")
    capture = lan.client.capture(only="ip proto 112")
    c.create_pair(lan)
    time.sleep(10)
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    assert {packet.source for packet in c.heard(capture.packets())} == {VIP}
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)


# -- who else sees advertisements


@pytest.mark.parametrize("own", [True, False], ids=["", "no-parent-address"])
def test_firewalls_can_drop_advertisements(lan: Lan, own: bool) -> None:
    """Netfilter's input chain has them as it has all else, on the parent."""
    if not own:
        for host in lan.hosts:
            host.ip("addr", "del", f"{host.address}/24", "dev", "eth0")
    c.create_pair(lan)
    rule = "iifname eth0 ip protocol 112 counter drop"
    lan.b.run(
        "nft",
        "add table ip f; add chain ip f input { type filter hook input priority 0; };"
        f" add rule ip f input {rule}",
    )
    before = c.stats(lan.b)["rx_ipv4"]
    c.wait_state(lan.b, "master", 4)
    assert c.stats(lan.b)["rx_ipv4"] == before
    assert "packets 0 " not in lan.b.run("nft", "list table ip f").stdout
    lan.b.run("nft", "delete table ip f")
    c.wait_state(lan.b, "backup", 3)


@pytest.mark.parametrize("own", [True, False], ids=["", "no-parent-address"])
def test_raw_sockets_get_a_copy(lan: Lan, own: bool) -> None:
    """keepalived on the same host hears its peers; so it hears ours."""
    if not own:
        for host in lan.hosts:
            host.ip("addr", "del", f"{host.address}/24", "dev", "eth0")
    c.create_pair(lan)
    raw = lan.b.socket(socket.AF_INET, socket.SOCK_RAW, c.PROTOCOL)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    raw.settimeout(3)
    packet, (source, _) = raw.recvfrom(2048)
    raw.close()
    assert source == (lan.a.address if own else VIP)
    assert packet[20:22] == b"\x21\x01"
    assert c.state(lan.b) == "backup"


@pytest.mark.parametrize("level, most", [(2, 0), (7, 22)])
def test_vrrp_does_not_flood_the_log(lan: Lan, log: Kmsg, level: int, most: int) -> None:
    """Routers that speak VRRP on the same segment are no attack: nothing is said by
    default, and who wants to know is told ten times in five seconds."""
    lan.a.sysctl("net.inet.carp.log", level)
    be_backup(lan.a)
    log.read()
    for _ in range(60):
        time.sleep(0.1)
        sends(lan.client, vrrp(2, 1), vrrp(3, 1))()
    lines = log.read()
    assert len(lines) <= most, lines


@pytest.mark.parametrize("enslaved", ["first", "later"])
def test_parent_in_a_vrf(lan: Lan, enslaved: str) -> None:
    """IP then names the VRF as the device; the parent is found nevertheless."""
    lines = (
        "link add vrf1 type vrf table 100",
        "link set vrf1 up",
        "link set eth0 master vrf1",
    )
    if enslaved == "first":
        lan.b.ip_batch(*lines)
        c.create_pair(lan)
    else:
        c.create_pair(lan)
        lan.b.ip_batch(*lines)
    before = c.stats(lan.b)["rx_ipv4"]
    time.sleep(10)
    assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
    assert c.stats(lan.b)["rx_ipv4"] >= before + 9
    assert c.stats(lan.b)["rx_bad_interface"] == 0
    lan.b.ip("link", "set", "carp0", "master", "vrf1")
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_state(lan.b, "master", 1)
    lan.client.run("ping", "-c", "2", "-W", "1", VIP)


# -- frames for the virtual MAC


def echo_request(to: bytes, target: str = VIP, tag: bytes = b"") -> bytes:
    """A ping from the client in a frame of its own, with a VLAN tag on request."""
    body = b"\x08\0\0\0\x12\x34\0\1" + bytes(24)
    body = body[:2] + struct.pack("!H", c.checksum(body)) + body[4:]
    mac = bytes.fromhex("020000000064")
    packet = c.frame(body, source="10.0.0.100", destination=target, mac=mac, to=to, protocol=1)
    return packet[:12] + tag + packet[12:]


def answers(lan: Lan, frame: bytes) -> int:
    """How many answers the client gets to a ping."""
    capture = lan.client.capture(only="icmp[icmptype] == icmp-echoreply")
    lan.client.send_frame(frame)
    time.sleep(0.05)
    count = len(capture.received())
    capture.close()
    return count


@pytest.mark.parametrize("own", [True, False], ids=["", "no-parent-address"])
def test_master_counts_and_shows_its_traffic(lan: Lan, own: bool) -> None:
    """What comes to the virtual MAC is counted by carp0, whole frames, and shown to
    tcpdump there; and on the parent, as firewall rules see it."""
    if not own:
        lan.a.ip("addr", "del", f"{lan.a.address}/24", "dev", "eth0")
    be_master(lan.a)
    lan.client.run("ping", "-c", "1", "-W", "1", VIP)
    before = lan.a.show("carp0")["stats64"]["rx"]
    requests = "icmp[icmptype] == icmp-echo"
    shown, parent = (lan.a.capture(device, requests) for device in ("carp0", "eth0"))
    lan.client.run("ping", "-c", "5", "-i", "0.1", "-s", "100", VIP)
    after = lan.a.show("carp0")["stats64"]["rx"]
    assert after["packets"] - before["packets"] == 5
    assert after["bytes"] - before["bytes"] == 5 * (14 + 20 + 8 + 100)
    assert len(parent.received()) == 5
    assert [p.data for p in shown.packets()] == [p.data for p in parent.received()]
    assert {p.data[:6] for p in shown.packets()} == {c.virtual_mac(1)}


def test_firewalls_see_traffic_on_the_parent(lan: Lan) -> None:
    be_master(lan.a)
    lan.a.run(
        "nft",
        "add table ip f; add chain ip f input { type filter hook input priority 0; };"
        " add rule ip f input iifname carp0 drop;"
        f" add rule ip f input iifname eth0 ip daddr {VIP} counter accept",
    )
    lan.client.run("ping", "-c", "3", "-i", "0.1", "-W", "1", VIP)
    assert "packets 3 " in lan.a.run("nft", "list table ip f").stdout


def test_backup_drops_frames_for_the_virtual_mac(lan: Lan) -> None:
    """Whatever is in them, though the parent's receive filter lets them through: they
    are for another."""
    be_backup(lan.a)
    lan.a.sysctl("net.ipv4.ip_forward", 1)
    before = lan.a.show("carp0")["stats64"]["rx"]["packets"]
    own = bytes.fromhex("020000000002")
    at_home = echo_request(own, lan.a.address)
    assert answers(lan, at_home) == 1, "asked at its own MAC it answers"
    for target in (VIP, lan.a.address, lan.b.address):
        assert answers(lan, echo_request(c.virtual_mac(1), target)) == 0
    assert lan.a.show("carp0")["stats64"]["rx"]["packets"] == before


@roles
def test_other_virtual_macs_are_left_alone(lan: Lan, role: str) -> None:
    """Those of VRRP routers and of other groups are as foreign as any; and if the
    parent's own looks like one, it is still the parent's own."""
    BECOME[role](lan.a)
    foreign = c.virtual_mac(0x77)
    before = lan.a.show("carp0")["stats64"]["rx"]["packets"]
    seen = lan.a.capture(only="icmp")
    assert answers(lan, echo_request(foreign, lan.a.address)) == 0
    assert len(seen.received()) == 1
    lan.a.ip("link", "set", "eth0", "address", foreign.hex(":"))
    assert answers(lan, echo_request(foreign, lan.a.address)) == 1
    assert lan.a.show("carp0")["stats64"]["rx"]["packets"] == before
    assert c.state(lan.a) == role


def test_frames_of_a_vlan_are_the_vlans(lan: Lan) -> None:
    """The same vhid once on the parent, where this host is backup, and once on a VLAN,
    where it is master: neither takes the other's frames."""
    for host, address in ((lan.a, "10.7.0.2/24"), (lan.client, "10.7.0.100/24")):
        host.ip_batch(
            "link add link eth0 name eth0.7 type vlan id 7",
            f"addr add {address} dev eth0.7",
            "link set eth0.7 up",
        )
    be_backup(lan.a)
    c.create(lan.a, name="carp7", carpdev="eth0.7", addresses=("10.7.0.1/24",))
    c.wait_state(lan.a, "master", name="carp7")
    lan.client.run("ping", "-c", "3", "-i", "0.1", "-W", "1", "10.7.0.1")
    assert lan.a.show("carp0")["stats64"]["rx"]["packets"] == 0
    assert lan.a.show("carp7")["stats64"]["rx"]["packets"] >= 3
    assert c.state(lan.a) == "backup"
    # a VLAN that the host does not have
    assert answers(lan, echo_request(c.virtual_mac(1), tag=b"\x81\0\0\x08")) == 0


@pytest.mark.parametrize("own", [True, False], ids=["", "no-parent-address"])
def test_priority_tags_are_no_vlan(lan: Lan, own: bool) -> None:
    """A tag with VLAN 0 says how urgent a frame is, and the frame is the parent's: the
    parent's MAC is reached with it, and so is the virtual one."""
    if not own:
        lan.a.ip("addr", "del", f"{lan.a.address}/24", "dev", "eth0")
    be_master(lan.a)
    tag = b"\x81\0\xe0\0"
    assert answers(lan, echo_request(c.virtual_mac(1), VIP)) == 1
    if own:
        assert answers(lan, echo_request(bytes.fromhex("020000000002"), tag=tag)) == 1
    assert answers(lan, echo_request(c.virtual_mac(1), VIP, tag)) == 1
