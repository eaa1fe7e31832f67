# SPDX-License-Identifier: GPL-2.0
"""Routers that share an address and have flowtables, which forward the packets of
connections that they know before carp sees them.

    client ── inside: carp0 on eth0 ── a, b ── outside: eth1 ── server

The switch inside learns nothing, so that every frame reaches both. What the server
answers goes by way of a all the time, which therefore never forgets its flow.
"""

from __future__ import annotations

import socket
import time
from collections import Counter

import pytest
from lib import carp as c
from lib import kernel
from lib.clock import wait_for
from lib.frames import mac_bytes
from lib.host import Host
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

CLIENT, GATEWAY, SERVER = "10.1.0.100", "10.1.0.1", "192.0.2.100"
PORT = 9
NODES = {"a": "1:0,2:100", "b": "1:100,2:0"}
"""a has what goes from the client to the server: the two addresses are both even."""

FLOWTABLE = """
table inet x {
    flowtable f {
        hook ingress priority 0
        devices = { eth0, eth1 }
    }
    chain forward {
        type filter hook forward priority filter
        meta l4proto udp flow add @f
    }
}
"""
NO_FLOWTABLE = "delete table inet x"


class Routers:
    """The hosts above, and an echo server."""

    def __init__(self, world: World, mode: str) -> None:
        kernel.load("nf_flow_table_inet", "nft_flow_offload", "nf_conntrack_netlink")
        names = ("a", "b", "client", "server", "inside", "outside")
        self.a, self.b, self.client, self.server, inside, outside = world.make_hosts(*names)
        for switch, ports in (
            (inside, (("a", "eth0"), ("b", "eth0"), ("client", "eth0"))),
            (outside, (("a", "eth1"), ("b", "eth1"), ("server", "eth0"))),
        ):
            switch.ip_batch(
                "link add br0 type bridge forward_delay 0 mcast_snooping 0",
                *(
                    f"link add name {host} type veth peer name {device} netns {host}"
                    for host, device in ports
                ),
                *(f"link set dev {host} master br0 up" for host, _ in ports),
                "link set dev br0 up",
            )
        for host, _ in ports[:2]:
            inside.run("bridge", "link", "set", "dev", host, "learning", "off")
        for number, router in ((2, self.a), (3, self.b)):
            router.ip_batch(
                "link set eth0 up",
                "link set eth1 up",
                f"addr add 10.1.0.{number}/24 dev eth0",
                f"addr add 192.0.2.{number}/24 dev eth1",
            )
            router.sysctl("net.ipv4.ip_forward", 1)
            router.sysctl("net.inet.carp.preempt", 1)
            if mode == "none":
                skew = 0 if router is self.a else 100
                c.create(router, advskew=skew, addresses=(f"{GATEWAY}/24",))
            else:
                c.create_nodes(router, NODES[router.name], mode, address=f"{GATEWAY}/24")
        self.client.ip_batch(
            "link set eth0 up",
            f"addr add {CLIENT}/24 dev eth0",
            f"route add default via {GATEWAY}",
        )
        self.server.ip_batch(
            "link set eth0 up",
            f"addr add {SERVER}/24 dev eth0",
            "route add 10.1.0.0/24 via 192.0.2.2",
        )
        self.asks = self.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.answers = self.server.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.answers.bind((SERVER, PORT))
        self.asks.connect((SERVER, PORT))
        for s in (self.asks, self.answers):
            s.settimeout(2)
        c.wait_masters(self.a, [1])
        if mode != "none":
            c.wait_masters(self.b, [2])

    def forward(self, count: int = 10) -> Counter[str]:
        """Packets of one flow; by whom they came to the server."""
        capture = self.server.capture(only=f"udp dst port {PORT}")
        for number in range(count):
            self.asks.send(bytes([number]))
            data, sender = self.answers.recvfrom(100)
            assert data == bytes([number])
            self.answers.sendto(data, sender)
            assert self.asks.recv(100) == data
            time.sleep(0.01)
            self._drop_copies()
        frames = capture.received()
        capture.close()
        macs = {mac_bytes(host.link("eth1").address): host.name for host in (self.a, self.b)}
        return Counter(macs[frame.data[6:12]] for frame in frames)

    def _drop_copies(self) -> None:
        for s in (self.asks, self.answers):
            s.setblocking(False)
            while True:
                try:
                    s.recv(100)
                except BlockingIOError:
                    break
            s.settimeout(2)

    def hand_over(self) -> None:
        """b is master of all."""
        self.a.run("carpctl", "-g", "carp", "carpdemote", "50")
        wait_for(lambda: not c.masters(self.a), 5, "a is master of nothing")
        time.sleep(0.1)


def is_offloaded(host: Host) -> bool:
    return "[OFFLOAD]" in host.run("conntrack", "-L").stdout


def guards(host: Host) -> bool:
    """Whether carp looks at what eth0 receives before anybody else does."""
    listed = host.run("nft", "list", "hooks", "netdev", "device", "eth0").stdout
    names = [line.strip() for line in listed.split("\n") if line.strip()[:1] in ("-", "+", "0")]
    found = ["[carp]" in name for name in names]
    assert not any(found[1:]), "it is the first"
    return any(found)


# On the kernel that looks for mistakes a does not always keep the flow, so there is nothing
# to be seen there.
@pytest.mark.stock
@pytest.mark.parametrize("mode", ["none", "ip"])
def test_a_flow_is_forwarded_once(world: World, mode: str) -> None:
    """Whoever loses mastership forwards nothing more that came for the virtual MAC, though
    the flow is in its flowtable."""
    routers = Routers(world, mode)
    routers.a.run("nft", "-f", "-", input=FLOWTABLE)
    routers.b.run("nft", "-f", "-", input=FLOWTABLE)
    # A flowtable is found with the next advertisement.
    time.sleep(1.5)
    assert routers.forward() == {"a": 10}
    assert is_offloaded(routers.a)
    routers.hand_over()
    assert routers.forward() == {"b": 10}
    assert is_offloaded(routers.a), "the answers still go by way of a"


def test_a_flowtable_comes_and_goes(world: World) -> None:
    """Nothing is asked of packets while nobody takes them early; whatever goes first, carp,
    the flowtable or the device, nothing is left behind."""
    kernel.load("nfnetlink_hook")
    routers = Routers(world, "none")
    a = routers.a

    def wait_guards(wanted: bool) -> None:
        wait_for(lambda: guards(a) == wanted, 3, f"carp's hook is there: {wanted}")

    assert not guards(a)
    for _ in range(2):
        a.run("nft", "-f", "-", input=FLOWTABLE)
        wait_guards(True)
        a.run("nft", *NO_FLOWTABLE.split())
        wait_guards(False)
    a.run("nft", "-f", "-", input=FLOWTABLE)
    wait_guards(True)
    a.ip("link", "del", "carp0")
    assert not guards(a)
    c.create(a, addresses=(f"{GATEWAY}/24",))
    wait_guards(True)
    a.ip("link", "set", "eth0", "netns", "b", "name", "moved")
    routers.b.ip("link", "del", "moved")
    a.ip("link", "del", "carp0")
