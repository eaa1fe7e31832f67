# SPDX-License-Identifier: GPL-2.0
"""What enters the table, or changes in it, without a packet that passes IP's hooks: peers hear
of that within a second."""

from __future__ import annotations

import socket
import time

import pytest
from lib import conntrack, kernel
from lib import pfsync as p
from lib import traffic as t
from lib.clock import wait_for
from lib.host import Host
from lib.lan import Lan
from lib.pair import SERVER, Datagrams, Pair
from lib.process import run
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

TCP, UDP = 6, 17
WITHIN = 1.5
"""A second, and what a busy guest adds."""
TOLD = 1.3
"""What packets tell of."""


def insert(host: Host, port: int, mark: int = 0) -> None:
    words = f"-I -t 600 -u SEEN_REPLY -s 10.9.0.1 -d 10.9.0.2 -p udp --sport {port} --dport 53"
    host.run("conntrack", *words.split(), "-m", str(mark))


def copy(host: Host, port: int) -> dict | None:
    return next(
        (it for it in conntrack.entries(host, proto=UDP) if it["original"][1] == port), None
    )


# -- conntrack(8)


def test_what_was_inserted_by_hand(world: World) -> None:
    pair = Pair(world)
    for port in (1001, 1002):
        insert(pair.a, port)
        wait_for(lambda port=port: copy(pair.b, port), WITHIN, "b has it")


def test_what_was_inserted_into_a_large_table(world: World) -> None:
    """Of entries that are not for peers: they do not keep it from being found."""
    pair = Pair(world, words="nosync-mark 1")
    conntrack.restore(pair.a, 5000, mark=1)
    assert conntrack.count(pair.a) >= 5000
    time.sleep(3)
    assert p.info(pair.a)["states"] < 100
    for port in (1001, 1002, 1003):
        insert(pair.a, port)
        wait_for(lambda port=port: copy(pair.b, port), WITHIN, "b has it")
        time.sleep(1)


def test_a_mark_that_is_set_by_hand(world: World) -> None:
    pair = Pair(world, words="nosync-mark 7")
    flow = Datagrams(pair.client, pair.server, SERVER, 5001)
    flow.exchange()
    pair.wait_same(proto=UDP)
    time.sleep(2)
    # 0x10000 is the bit that a careless hash overwrites
    for mark in (5, 0x10000, 0, 6):
        pair.a.run("conntrack", "-U", "-p", "udp", "--dport", "5001", "-m", str(mark))
        pair.wait_same(WITHIN, proto=UDP, mark=mark)
        time.sleep(2)
    # Of a copy it is nobody's business.
    pair.b.run("conntrack", "-U", "-p", "udp", "--dport", "5001", "-m", "9")
    time.sleep(3)
    assert [entry["mark"] for entry in conntrack.entries(pair.a, proto=UDP)] == [6]
    # That is judged anew as well.
    pair.a.run("conntrack", "-U", "-p", "udp", "--dport", "5001", "-m", "7")
    wait_for(lambda: not conntrack.entries(pair.b, proto=UDP), WITHIN, "it stays at home now")
    flow.close()


# -- bridges


BRIDGED = """
table bridge filter {
    chain forward {
        type filter hook forward priority filter
        ct state established,related accept
        NEW
    }
}
"""


MASQUERADE = """
table ip nat {
    chain post {
        type nat hook postrouting priority srcnat
        ip saddr 10.0.0.1 masquerade
    }
}
"""


class Bridges:
    """Two firewalls that are bridges between a client and a server, a in use; and a cable
    between them."""

    def __init__(self, world: World) -> None:
        names = ("a", "b", "client", "server", "left", "right")
        self.a, self.b, self.client, self.server, self.left, self.right = world.make_hosts(*names)
        for switch, end, device in (
            (self.left, self.client, "eth0"),
            (self.right, self.server, "eth1"),
        ):
            lines = ["link add br0 up type bridge forward_delay 0 mcast_snooping 0"]
            for host in (self.a, self.b, end):
                peer = "eth0" if host is end else device
                lines += [
                    f"link add name {host} type veth peer name {peer} netns {host}",
                    f"link set dev {host} master br0 up",
                ]
            switch.ip_batch(*lines)
        world.cable(self.a, "eth2", self.b, "eth2")
        for number, host in ((2, self.a), (3, self.b)):
            host.ip_batch(
                "link add br0 up type bridge forward_delay 0 mcast_snooping 0",
                "link set eth0 master br0",
                "link set eth1 master br0",
                f"addr add 172.16.0.{number}/24 dev eth2",
                "link set eth2 up",
            )
        for host, number in ((self.client, 1), (self.server, 2)):
            host.address, host.address6 = f"10.0.0.{number}", f"fd00::{number}"
            host.ip_batch(
                f"addr add {host.address}/24 dev eth0",
                f"addr add {host.address6}/64 dev eth0 nodad",
                "link set eth0 up",
            )
        self.rules(self.a, "accept")
        self.rules(self.b, "ip protocol { tcp, udp } drop; ip6 nexthdr { tcp, udp } drop")
        self.use(self.a)
        for host in (self.a, self.b):
            p.create(host, syncdev="eth2", local=False)
        for host in (self.a, self.b):
            p.wait_bulk(host)

    def rules(self, host: Host, new: str) -> None:
        """What is new is treated like that."""
        host.run("nft", "-f", "-", input=BRIDGED.replace("NEW", new))

    def use(self, host: Host) -> None:
        """This one alone has its ports up."""
        for one in (self.a, self.b):
            state = "up" if one is host else "down"
            one.ip_batch(f"link set eth0 {state}", f"link set eth1 {state}")
        for end in (self.client, self.server):
            end.settle()


@pytest.mark.parametrize("v6", [False, True], ids=["IPv4", "IPv6"])
def test_a_bridging_firewall(world: World, v6: bool) -> None:
    """Its connections outlive a takeover, as those of a router do; b lets nothing pass that
    it does not know."""
    it = Bridges(world)
    address = it.server.address6 if v6 else it.server.address
    mine, theirs = t.connect(it.client, it.server, address, 5001)
    flow = Datagrams(it.client, it.server, address, 5002)
    flow.exchange()
    for proto in (TCP, UDP):
        wait_for(lambda proto=proto: conntrack.entry(it.b, proto=proto), TOLD, "b has it")
    time.sleep(1)
    it.use(it.b)
    for one, other in ((mine, theirs), (theirs, mine)):
        one.sendall(b"hello")
        other.settimeout(10)
        assert other.recv(16) == b"hello"
    flow.exchange()
    for proto in (TCP, UDP):
        assert p.info(it.b)["states"] and conntrack.entry(it.b, proto=proto)
    flow.close()


def test_a_bridge_that_defers(world: World) -> None:
    """First packets are not held on a bridge, and pass."""
    it = Bridges(world)
    for host in (it.a, it.b):
        p.change(host, "defer")
    flow = Datagrams(it.client, it.server, it.server.address, 5002)
    flow.exchange()
    wait_for(lambda: conntrack.entry(it.b, proto=UDP), TOLD, "b has it")
    assert p.stats(it.a)["deferred"] == 0
    flow.close()


def test_fragments_on_a_bridge(world: World) -> None:
    """They are put together, and cut again."""
    it = Bridges(world)
    flow = Datagrams(it.client, it.server, it.server.address, 5002)
    flow.client.send(b"x" * 4000)
    data, _ = flow.server.recvfrom(8192)
    assert data == b"x" * 4000
    wait_for(lambda: conntrack.entry(it.b, proto=UDP), TOLD, "b has it")
    flow.close()


@pytest.mark.stock
def test_what_ip_sees_of_a_bridge(world: World) -> None:
    """With br_netfilter IP's hooks see its packets as well, and translate them after ours: that
    must find an entry that is not confirmed yet."""
    kernel.load("br_netfilter")
    try:
        it = Bridges(world)
        it.a.ip("addr", "add", "10.0.0.77/24", "dev", "br0")
        it.a.run("nft", "flush", "ruleset")
        it.a.run("nft", "-f", "-", input=MASQUERADE)
        flow = Datagrams(it.client, it.server, it.server.address, 5002)
        flow.send()
        assert flow.peer[0] == "10.0.0.77"
        wait_for(lambda: conntrack.entry(it.b, proto=UDP), TOLD, "b has it")
        there = conntrack.entry(it.b, proto=UDP)
        assert there and there["reply"][2] == "10.0.0.77"
        flow.close()
    finally:
        run(("modprobe", "-r", "br_netfilter"))


def test_what_a_host_sends_out_of_a_bridge(world: World) -> None:
    """Both hooks see it, and it counts once."""
    it = Bridges(world)
    it.a.ip("addr", "add", "10.0.0.77/24", "dev", "br0")
    p.change(it.a, "local")
    p.change(it.a, "maxupd 40")
    listener = t.connect(it.a, it.server, it.server.address, 5003)
    mine, theirs = listener
    wait_for(lambda: conntrack.entry(it.b, proto=TCP), TOLD, "b has it")
    time.sleep(2)
    before = p.stats(it.a)["sent_compressed"]
    for _ in range(15):
        mine.sendall(b"x")
        assert theirs.recv(1) == b"x"
    time.sleep(0.2)
    # 15 segments and their answers: with twice as many it would leave at once
    assert p.stats(it.a)["sent_compressed"] == before
    time.sleep(1.2)
    assert p.stats(it.a)["sent_compressed"] > before


# -- tc


def test_what_tc_tracks(lan: Lan) -> None:
    """With act_ct packets pass from one device to another without IP."""
    a, b = lan.hosts
    for host in (a, b):
        p.create(host)
    for host in (a, b):
        p.wait_bulk(host)
    a.ip_batch("link add one up type veth peer name two", "link set two up")
    a.run("tc", "qdisc", "add", "dev", "eth0", "clsact")
    filters = "filter add dev eth0 ingress protocol ip flower ip_proto udp dst_port 5001"
    action = "action ct commit pipe action mirred egress redirect dev one"
    a.run("tc", *filters.split(), *action.split())
    with lan.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", (a.address, 5001))
    wait_for(lambda: conntrack.entry(a, proto=UDP), 1, "tc tracks it")
    wait_for(lambda: conntrack.entry(b, proto=UDP), WITHIN, "b has it")
