# SPDX-License-Identifier: GPL-2.0
"""Where frames go when the peer is named: any interface with an address, and IPsec."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from lib import conntrack
from lib import pfsync as p
from lib import traffic as t
from lib.clock import wait_for
from lib.host import Host
from lib.pair import CLIENT, SERVER, Datagrams, Pair, close
from lib.process import run
from lib.world import World

pytestmark = [
    pytest.mark.usefixtures("pfsync"),
    pytest.mark.stock,  # the other kernel has neither tunnels nor IPsec
]

PORT = 5004
MANY = 50
KEYS = f"enc cbc(aes) 0x{'11' * 16} auth-trunc hmac(sha256) 0x{'22' * 32} 128"


def start(pair: Pair, syncdev: str, *peers: str) -> None:
    for host, peer in zip(pair.hosts, peers, strict=True):
        p.create(host, f"syncpeer {peer}", syncdev=syncdev, local=False)
    for host in pair.hosts:
        p.wait_bulk(host)


def check(pair: Pair) -> None:
    """Connections through a are known to b, also those that fill frames to the last byte."""
    ends = [t.connect(pair.client, pair.server, SERVER, PORT + n) for n in range(MANY)]
    wanted = {(*mine.getsockname(), *mine.getpeername()) for mine, _theirs in ends}
    wait_for(
        lambda: wanted <= {one["original"] for one in conntrack.entries(pair.b)},
        1.3,
        "b knows of all",
        interval=0.1,
    )
    for both in ends:
        close(*both)


def inside(pair: Pair, kind: str) -> None:
    """Addresses within the tunnel "sync"."""
    for number, host in enumerate(pair.hosts, 2):
        host.ip_batch(
            f"addr add 10.9.0.{number}/24 dev sync",
            f"addr add fd09::{number}/64 dev sync nodad",
            "link set sync up",
        )
        assert kind in host.show("sync")["linkinfo"]["info_kind"]


def key(*command: str, given: str = "") -> str:
    return subprocess.run(
        command, input=given, capture_output=True, text=True, check=True
    ).stdout.strip()


def wireguard(pair: Pair, folder: Path) -> None:
    private = [key("wg", "genkey") for _ in pair.hosts]
    public = [key("wg", "pubkey", given=one) for one in private]
    for host, mine, theirs, other in zip(
        pair.hosts, private, reversed(public), reversed(pair.hosts), strict=True
    ):
        file = folder / str(host)
        file.write_text(mine)
        host.ip("link", "add", "sync", "type", "wireguard")
        host.run("wg", "set", "sync", "listen-port", "51820", "private-key", str(file),
                 "peer", theirs, "allowed-ips", "10.9.0.0/24,fd09::/64",
                 "endpoint", f"{other.address}:51820")  # fmt: skip


def gre(pair: Pair, _folder: Path) -> None:
    for host, other in zip(pair.hosts, reversed(pair.hosts), strict=True):
        host.ip_batch(f"link add sync type gre local {host.address} remote {other.address}")


def associations(one: str, other: str, mode: str, more: str = "") -> list[str]:
    """One for each direction."""
    return [
        f"xfrm state add src {source} dst {to} proto esp spi 0x{spi} mode {mode} {more} {KEYS}"
        for source, to, spi in ((one, other, 101), (other, one, 102))
    ]


def policy(direction: str, source: str, to: str) -> str:
    """pfsync's frames go through ESP, and in no other way."""
    return (
        f"xfrm policy add dir {direction} src {source} dst {to} proto 240"
        f" tmpl src {source} dst {to} proto esp mode transport"
    )


def xfrm(pair: Pair, _folder: Path) -> None:
    a, b = (host.address for host in pair.hosts)
    for host, here, there in ((pair.a, a, b), (pair.b, b, a)):
        host.ip_batch(
            "link add sync type xfrm dev eth2 if_id 7",
            *associations(a, b, "tunnel", "if_id 7 flag af-unspec"),
            *(
                f"xfrm policy add dir {direction} if_id 7 tmpl src {one} dst {other}"
                " proto esp mode tunnel"
                for direction, one, other in (("out", here, there), ("in", there, here))
            ),
            # IPv6 in IPv4 has a policy of its own family
            *(
                f"xfrm policy add dir {direction} src ::/0 dst ::/0 if_id 7"
                f" tmpl src {one} dst {other} proto esp mode tunnel"
                for direction, one, other in (("out", here, there), ("in", there, here))
            ),
        )


@pytest.fixture(autouse=True)
def no_fallback_tunnels() -> None:
    """GRE's module would put one into each namespace, also those of later tests."""
    run(("sysctl", "-q", "-w", "net.core.fb_tunnels_only_for_init_net=2"))


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("make", [wireguard, gre, xfrm], ids=lambda make: make.__name__)
def test_any_interface_with_an_address(
    world: World, make: Callable[[Pair, Path], None], six: bool, tmp_path: Path
) -> None:
    """WireGuard, GRE, an IPsec interface; all frames go through it."""
    pair = Pair(world, start=False)
    make(pair, tmp_path)
    inside(pair, make.__name__)
    outside = pair.a.capture("eth2")
    start(pair, "sync", *(("fd09::3", "fd09::2") if six else ("10.9.0.3", "10.9.0.2")))
    check(pair)
    assert not [packet for packet in outside.packets() if proto(packet.data) == p.PROTOCOL]
    counted = p.stats(pair.b)
    assert counted["ipackets6" if six else "ipackets"] > 0
    assert counted["badif"] == counted["badauth"] == counted["badttl"] == 0


def proto(frame: bytes) -> int:
    """What is in a frame's IP packet; 0 for what is none, such as ARP."""
    place = {b"\x08\x00": 23, b"\x86\xdd": 20}.get(frame[12:14])
    return frame[place] if place else 0


@pytest.fixture
def tunnel(host: Host) -> Host:
    host.ip("link", "add", "tunnel", "type", "gre", "local", "10.0.0.1", "remote", "10.0.0.2")
    return host


def test_without_a_peer_it_is_ethernet(tunnel: Host) -> None:
    """For the group; and the peer cannot be taken away then."""
    add = ("ip", "link", "add", "pfsync0", "type", "pfsync", "syncdev")
    needed = "tunnel is not Ethernet: it needs a syncpeer"
    assert needed in tunnel.refused(*add, "tunnel")
    p.create(tunnel, syncdev=None)
    change = ("ip", "link", "set", "pfsync0", "type", "pfsync")
    assert needed in tunnel.refused(*change, "syncdev", "tunnel")
    p.change(tunnel, "syncdev tunnel syncpeer 10.9.0.2")
    assert needed in tunnel.refused(*change, "-syncpeer")
    assert p.info(tunnel)["syncpeer"] == "10.9.0.2"
    p.change(tunnel, "syncdev eth0 -syncpeer")


@pytest.mark.parametrize("line", ["lo", "dummy0", "vrf0"])
def test_who_leads_to_nobody(host: Host, line: str) -> None:
    host.ip_batch("link add dummy0 type dummy", "link add vrf0 type vrf table 9")
    add = ("ip", "link", "add", "pfsync0", "type", "pfsync", "syncdev", line)
    assert f"{line} leads to no other host" in host.refused(*add, "syncpeer", "10.0.0.2")


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_a_policy_of_ipsec_is_obeyed(world: World, six: bool) -> None:
    """Frames in clear are not for who demands ESP; with keys all of them go through it."""
    pair = Pair(world, start=False)
    for number, host in enumerate(pair.hosts, 2):
        host.ip("addr", "add", f"fd03::{number}/64", "dev", "eth2", "nodad")
    a, b = ("fd03::2", "fd03::3") if six else (pair.a.address, pair.b.address)
    pair.b.ip_batch(policy("in", a, b))
    p.create(pair.a, f"syncpeer {b}", syncdev="eth2")
    p.create(pair.b, f"syncpeer {a}", syncdev="eth2")
    p.wait_bulk(pair.b)
    flow = Datagrams(pair.client, pair.server, SERVER, PORT)
    flow.exchange()
    original = (CLIENT, flow.client.getsockname()[1], SERVER, PORT)
    with pytest.raises(AssertionError, match="both hosts have"):
        pair.wait_same(original=original)
    received = "ipackets6" if six else "ipackets"
    assert conntrack.entry(pair.b, original=original) is None and p.stats(pair.b)[received] == 0
    flow.close()

    pair.a.ip_batch(*associations(a, b, "transport"), policy("out", a, b), policy("in", b, a))
    pair.b.ip_batch(*associations(a, b, "transport"), policy("out", b, a))
    cable = pair.a.capture("eth2")
    check(pair)
    protocols = {proto(packet.data) for packet in cable.packets()}
    assert 50 in protocols and p.PROTOCOL not in protocols
    assert p.stats(pair.b)[received] > 0
