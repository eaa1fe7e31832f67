# SPDX-License-Identifier: GPL-2.0
"""Several virtual hosts share an interface and its traffic."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from lib import carp as c
from lib import flows, kernel
from lib.frames import Arp, arps, checksum, mac_bytes, virtual_mac
from lib.host import Host
from lib.lan import VIP, Lan
from lib.process import Process
from lib.rtnl import NetlinkError, attribute, nest
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

MULTICAST_MAC = "01:00:5e:00:01:01"
INTERFACE_MAC = {"ip": MULTICAST_MAC, "ip-stealth": virtual_mac(1), "ip-unicast": virtual_mac(1)}
NODES = ("1:0,2:100", "1:100,2:0")
"""Of two hosts that share the load."""
PORT = 8080
FLOWS = 10_000
Figure = Callable[[str, float, str], None]

# include/uapi/linux/if_carp.h
CARPNODES, CARP_NODE, NODE_VHID, NODE_ADVSKEW = 10, 1, 1, 2


def share(lan: Lan, mode: str = "ip", nodes: tuple[str, ...] = NODES, **options: str) -> None:
    """Each host is master of those virtual hosts for which its advskew is the least."""
    for host, mine in zip(lan.hosts, nodes, strict=True):
        if mode == "ip-unicast":
            # the network must deliver to everyone by itself
            lan.switch.run("bridge", "link", "set", "dev", host.name, "learning", "off")
        c.create_nodes(host, mine, mode, **options)
    skews = [
        {int(vhid): int(skew) for vhid, skew in (pair.split(":") for pair in mine.split(","))}
        for mine in nodes
    ]
    for host, own in zip(lan.hosts, skews, strict=True):
        best = [vhid for vhid in sorted(own) if own[vhid] == min(it[vhid] for it in skews)]
        c.wait_masters(host, best, name=options.get("name", "carp0"))


def ask(lan: Lan, sender: str = "10.0.0.100", mac: str = "02:00:00:00:00:4d") -> list[Arp]:
    """What is said in the VIP's name if somebody asks for it."""
    capture = lan.client.capture(only="arp")
    lan.client.send_frame(c.arp(VIP, sender=sender, mac=mac_bytes(mac)))
    time.sleep(0.02)
    heard = arps(capture.received())
    capture.close()
    return [arp for arp in heard if arp.sender == VIP]


class Servers:
    """On each host one who counts flows."""

    def __init__(self, lan: Lan, path: Path) -> None:
        self.lan = lan
        self.path = path
        self.sinks = [flows.Sink(host) for host in lan.hosts]

    def deliver(self, frames: list[bytes]) -> list[Counter[int]]:
        """Sends frames; which flows each host got, and how often."""
        flows.send(self.lan.client, frames, self.path)
        time.sleep(0.05)
        return [sink.received() for sink in self.sinks]


@pytest.fixture
def servers(lan: Lan, tmp_path: Path) -> Servers:
    return Servers(lan, tmp_path / "frames")


def assert_once(delivered: list[Counter[int]], numbers: set[int], waiting: int = 0) -> None:
    """Each flow reached one host, once; of so many in a row some may have reached nobody."""
    total = sum(delivered, Counter())
    lost = numbers - set(total)
    assert set(total) <= numbers
    assert not lost or max(lost) - min(lost) < waiting, f"{len(lost)} flows reached nobody"
    twice = {number for number, times in total.items() if times > 1}
    assert not twice, f"{len(twice)} flows were delivered more than once"


# -- the modes by hash


@pytest.mark.parametrize("mode", INTERFACE_MAC)
def test_each_flow_is_delivered_once(lan: Lan, servers: Servers, mode: str, figure: Figure) -> None:
    """Before a host dies, after it, and when it is back; while it is missed never more
    than once. The shares are what the hash says of the nodes."""
    for host in lan.hosts:
        host.sysctl("net.inet.carp.preempt", 1)
    share(lan, mode)
    mac = INTERFACE_MAC[mode]
    (answer,) = ask(lan)
    assert answer.sender_mac == mac
    assert lan.a.link("carp0").address == mac

    some = flows.make(FLOWS)
    frames = [flow.frame(mac) for flow in some]
    numbers = set(range(FLOWS))
    of_a, of_b = delivered = servers.deliver(frames)
    assert_once(delivered, numbers)
    expected = {flow.number for flow in some if flows.owner(flow.source, VIP, 2) == 0}
    assert set(of_a) == expected
    figure(f"balancing {mode}: share of the first of two hosts", len(of_a) / FLOWS * 100, "%")
    assert abs(len(of_a) / FLOWS - 0.5) < 0.05
    assert len(of_b) == FLOWS - len(of_a)

    few = frames[:1000]
    lan.hard_cut(lan.a)
    of_a, of_b = servers.deliver(few)
    assert not of_a and set(of_b) == set(range(1000)) - expected
    assert max(of_b.values()) == 1
    c.wait_masters(lan.b, [1, 2])
    of_a, of_b = delivered = servers.deliver(frames)
    assert_once(delivered, numbers)
    assert not of_a, "a is cut off"
    assert len(ask(lan)) == 1

    # a dead host that comes back has to learn what happened meanwhile
    lan.a.ip("link", "set", "carp0", "down")
    lan.heal(lan.a)
    lan.a.ip("link", "set", "carp0", "up")
    c.wait_masters(lan.a, [1])
    c.wait_masters(lan.b, [2])
    of_a, of_b = delivered = servers.deliver(few)
    assert_once(delivered, set(range(1000)))
    assert set(of_a) == expected & set(range(1000))


def test_a_handover_on_purpose_loses_and_doubles_nothing(lan: Lan, servers: Servers) -> None:
    """Packets go on while a host says farewell, and while it takes its share back.

    What waits at the one meanwhile, its processor being busy, came to the other before the
    farewell, too, and neither takes it: on a kernel that is too slow for so many.
    """
    waiting = 2 * flows.BURST if kernel.looks_for_mistakes() else 0
    for host in lan.hosts:
        host.sysctl("net.inet.carp.preempt", 1)
    share(lan)
    some = flows.make(12_000)
    frames = [flow.frame(MULTICAST_MAC) for flow in some]
    servers.path.write_bytes(b"".join(struct.pack("=H", len(frame)) + frame for frame in frames))
    flood: Process = lan.client.spawn(flows.FLOOD, "eth0", str(servers.path))
    time.sleep(0.05)
    lan.a.ip("link", "set", "carp0", "down")
    # where packets cost more than there is time for, the farewell is among many
    c.wait_masters(lan.b, [1, 2], timeout=1)
    assert flood.running(), "it all happened while packets came"
    flood.wait()
    time.sleep(0.05)
    of_a, of_b = delivered = [sink.received() for sink in servers.sinks]
    assert of_a and len(of_b) > 6000
    assert_once(delivered, set(range(12_000)), waiting)

    lan.a.ip("link", "set", "carp0", "up")
    change: list[Counter[int]] = [Counter(), Counter()]
    sent = 0
    while c.masters(lan.a) != [1]:
        # what goes on while the one takes over from the other
        part = [flow.frame(MULTICAST_MAC) for flow in some[sent : sent + 100]]
        sent += 100
        assert sent < 6000
        for mine, more in zip(change, servers.deliver(part), strict=True):
            mine.update(more)
        time.sleep(0.05)
    assert_once(change, set(range(sent)), waiting)


def test_three_nodes(lan: Lan, servers: Servers, figure: Figure) -> None:
    """One host has two of three, and so two thirds."""
    share(lan, nodes=("1:0,2:100,3:100", "1:100,2:0,3:0"))
    some = flows.make(FLOWS, seed=3)
    of_a, of_b = delivered = servers.deliver([flow.frame(MULTICAST_MAC) for flow in some])
    assert_once(delivered, set(range(FLOWS)))
    assert set(of_a) == {f.number for f in some if flows.owner(f.source, VIP, 3) == 0}
    figure("balancing ip: share of one node of three", len(of_a) / FLOWS * 100, "%")
    assert abs(len(of_a) / FLOWS - 1 / 3) < 0.05


def test_thirty_two_nodes(lan: Lan, servers: Servers) -> None:
    """The most there are; every other one is a's."""
    vhids = range(101, 133)
    nodes = tuple(
        ",".join(f"{vhid}:{100 * ((vhid + host) % 2 == 0)}" for vhid in reversed(vhids))
        for host in range(2)
    )
    share(lan, nodes=nodes)
    mac = "01:00:5e:00:01:65"
    assert lan.a.link("carp0").address == mac
    assert c.masters(lan.a) == list(range(101, 133, 2))
    some = flows.make(2000, seed=32)
    of_a, of_b = delivered = servers.deliver([flow.frame(mac) for flow in some])
    assert_once(delivered, set(range(2000)))
    assert set(of_a) == {f.number for f in some if flows.owner(f.source, VIP, 32) % 2 == 0}
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_masters(lan.b, list(vhids), 1)
    assert_once(servers.deliver([flow.frame(mac) for flow in some]), set(range(2000)))


@pytest.mark.parametrize("own", [True, False], ids=["", "no-parent-address"])
@pytest.mark.parametrize("mode", ["ip", "ip-stealth"])
def test_no_switch_learns_the_interfaces_mac(lan: Lan, mode: str, own: bool) -> None:
    """A multicast address is no source, and one that is stealthy must stay so: all
    leaves from the parent's own, also what the hosts themselves begin."""
    if not own:
        for host in lan.hosts:
            host.ip("addr", "del", f"{host.address}/24", "dev", "eth0")
    wires = [lan.switch.capture(host.name) for host in lan.hosts]
    share(lan, mode)
    lan.client.ip("addr", "add", "10.0.0.101/24", "dev", "eth0")
    for source in ("10.0.0.100", "10.0.0.101"):
        lan.client.run("ping", "-c", "2", "-i", "0.2", "-W", "1", "-I", source, VIP)
    # who may begin to speak as the VIP: the answer's hash must say this host
    for host, target in ((lan.b, "10.0.0.100"), (lan.a, "10.0.0.101")):
        host.run("ping", "-c", "2", "-i", "0.2", "-W", "1", "-I", VIP, target)
    lan.a.ip("link", "set", "carp0", "down")
    c.wait_masters(lan.b, [1, 2], 1)
    lan.client.run("ping", "-c", "2", "-i", "0.2", "-W", "1", VIP)
    for host, wire in zip(lan.hosts, wires, strict=True):
        sent = wire.received()
        assert any(packet.data[23] == c.PROTOCOL for packet in sent)
        assert {packet.data[6:12].hex(":") for packet in sent} == {host.mac}


def test_ip_multicast_is_left_alone(lan: Lan) -> None:
    """224.0.1.1 is NTP's, and its Ethernet address that of vhid 1 in mode ip: who has
    joined the group hears it once, whoever is master; nobody else does."""
    share(lan)
    members = []
    for host in lan.hosts:
        member = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        index = host.link("eth0").index.to_bytes(4, "little")
        member.setsockopt(
            socket.IPPROTO_IP,
            socket.IP_ADD_MEMBERSHIP,
            socket.inet_aton("224.0.1.1") + bytes(4) + index,
        )
        member.bind(("224.0.1.1", flows.PORT))
        member.setblocking(False)
        members.append(member)
    before = [host.show("carp0")["stats64"]["rx"]["packets"] for host in lan.hosts]
    for flow in flows.make(20):
        lan.client.send_frame(flow.frame(MULTICAST_MAC, target="224.0.1.1"))
    time.sleep(0.05)
    for member in members:
        heard = []
        with contextlib.suppress(BlockingIOError):
            while True:
                heard.append(struct.unpack("!I", member.recv(16))[0])
        assert heard == list(range(20))
        member.close()
    after = [host.show("carp0")["stats64"]["rx"]["packets"] for host in lan.hosts]
    assert after == before


@pytest.mark.parametrize("mode", INTERFACE_MAC)
def test_an_echo_request_is_answered_once(lan: Lan, mode: str) -> None:
    share(lan, mode)
    for host in lan.hosts:
        host.ip("route", "add", "10.3.0.0/16", "via", lan.client.address)
    capture = lan.client.capture(only=f"icmp and src {VIP}")
    sources = [f"10.3.{n}.{n * 7 % 250}" for n in range(40)]
    for source in sources:
        lan.client.send_frame(flows.echo_request(source, INTERFACE_MAC[mode]))
    time.sleep(0.1)
    answered = [socket.inet_ntoa(p.data[30:34]) for p in capture.received()]
    assert sorted(answered) == sorted(sources)


def test_an_icmp_error_reaches_the_host_that_has_the_connection(lan: Lan) -> None:
    """Whoever sent it, and whichever host its own addresses would mean."""
    share(lan)
    for client in range(100, 108):
        mine = flows.owner(f"10.0.0.{client}", VIP, 2)
        sockets = []
        for host in lan.hosts:
            talker = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
            talker.bind((VIP, 5000))
            talker.connect((f"10.0.0.{client}", 6000))
            sockets.append(talker)
        quoted = c.frame(
            struct.pack("!HHHH", 5000, 6000, 12, 0),
            source=VIP,
            destination=f"10.0.0.{client}",
            protocol=17,
        )[14:]
        error = struct.pack("!BBHI", 3, 3, 0, 0) + quoted
        error = error[:2] + struct.pack("!H", checksum(error)) + error[4:]
        # a router whose own addresses would say the other one
        router = f"10.0.0.{200 + (client + 1) % 2}"
        assert flows.owner(router, VIP, 2) != mine
        lan.client.send_frame(
            c.frame(error, source=router, destination=VIP, to=mac_bytes(MULTICAST_MAC), protocol=1)
        )
        time.sleep(0.02)
        told = [talker.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) for talker in sockets]
        assert [bool(error) for error in told] == [mine == 0, mine == 1]
        for talker in sockets:
            talker.close()


# -- connections


class Listener:
    """Answers each line with its own name before it."""

    def __init__(self, host: Host, address: str) -> None:
        self.host = host
        self.socket = host.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, PORT))
        self.socket.listen(64)


class Connection:
    """A TCP connection from one of the client's addresses to whoever takes it."""

    def __init__(self, client: Host, source: str, to: str, listeners: list[Listener]) -> None:
        self.caller = client.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.caller.settimeout(5)
        self.caller.bind((source, 0))
        self.caller.connect((to, PORT))
        ready, _, _ = select.select([listener.socket for listener in listeners], [], [], 5)
        assert len(ready) == 1, "one host has it"
        (self.place,) = [n for n, it in enumerate(listeners) if it.socket is ready[0]]
        self.answerer, (peer, _) = ready[0].accept()
        self.answerer.settimeout(5)
        assert peer == source

    def talk(self) -> None:
        """Something both ways, more than one packet."""
        for speaker, hearer in ((self.caller, self.answerer), (self.answerer, self.caller)):
            said = bytes(range(256)) * 40
            speaker.sendall(said)
            heard = b""
            while len(heard) < len(said):
                more = hearer.recv(1 << 16)
                assert more, "closed in the middle"
                heard += more
            assert heard == said

    def close(self) -> None:
        self.caller.close()
        self.answerer.close()


@pytest.mark.parametrize("own", [True, False], ids=["", "no-parent-address"])
@pytest.mark.parametrize("mode", [*INTERFACE_MAC, "arp"])
def test_tcp_to_the_address_itself(lan: Lan, mode: str, own: bool) -> None:
    """Some clients are one host's, some the other's, and each stays with its own. With
    parents that have no address all of it passes carp0."""
    if not own:
        for host in lan.hosts:
            host.ip("addr", "del", f"{host.address}/24", "dev", "eth0")
    share(lan, mode)
    sources = [f"10.0.0.{number}" for number in range(100, 104)]
    lan.client.ip_batch(*(f"addr add {source}/24 dev eth0" for source in sources[1:]))
    listeners = [Listener(host, VIP) for host in lan.hosts]
    connections = [Connection(lan.client, source, VIP, listeners) for source in sources]
    for connection in connections * 2:
        connection.talk()
    places = [connection.place for connection in connections]
    if mode == "arp":
        # one client, one MAC, one host
        assert len(set(places)) == 1
    else:
        assert places == [flows.owner(source, VIP, 2) for source in sources]
    for connection in connections:
        connection.close()
    for listener in listeners:
        listener.socket.close()


@pytest.mark.parametrize("mode", ["ip", "ip-stealth"])
def test_connections_through_a_gateway(world: World, lan: Lan, mode: str) -> None:
    """Two routers between clients and a server share the load, and each connection goes
    through one of them, there and back: the hash is the same in both directions. When
    one dies, all connections go on through the other."""
    server = world.host("server")
    lan.switch.ip_batch(
        "link add br1 type bridge forward_delay 0 mcast_snooping 0", "link set br1 up"
    )
    for host, number in ((lan.a, 2), (lan.b, 3), (server, 9)):
        world.cable(lan.switch, f"{host}.in", host, "eth1")
        lan.switch.ip("link", "set", "dev", f"{host}.in", "master", "br1", "up")
        host.ip_batch("link set eth1 up", f"addr add 10.9.0.{number}/24 dev eth1")
    server.ip("route", "add", "default", "via", "10.9.0.1")
    sources = [f"10.0.0.{number}" for number in range(100, 104)]
    lan.client.ip_batch(
        *(f"addr add {source}/24 dev eth0" for source in sources[1:]),
        f"route add 10.9.0.0/24 via {VIP}",
    )
    for host in lan.hosts:
        host.sysctl("net.ipv4.ip_forward", 1)
        for device in ("all", "eth0", "eth1"):
            host.sysctl(f"net.ipv4.conf.{device}.rp_filter", 1)
    share(lan, mode)
    share(
        lan,
        mode,
        ("3:0,4:100", "3:100,4:0"),
        name="carp1",
        carpdev="eth1",
        address="10.9.0.1/24",
    )
    listener = Listener(server, "10.9.0.9")
    wires = [host.capture("eth1", only="tcp") for host in lan.hosts]
    connections = [Connection(lan.client, s, "10.9.0.9", [listener]) for s in sources]
    for connection in connections * 2:
        connection.talk()
    for place, wire in enumerate(wires):
        mine = {s for s in sources if flows.owner(s, "10.9.0.9", 2) == place}
        assert {socket.inet_ntoa(p.data[26:30]) for p in wire.sent()} == mine
        # in mode ip all packets come to all
        forwarded = [p for p in wire.sent()]
        assert forwarded and {p.data[6:12].hex(":") for p in forwarded} == {
            lan.hosts[place].link("eth1").address
        }
    lan.a.ip_batch("link set carp0 down", "link set carp1 down")
    for connection in connections * 2:
        connection.talk()
    for connection in connections:
        connection.close()
    listener.socket.close()


# -- by ARP


def clients(count: int) -> list[tuple[str, str]]:
    """Addresses of clients that exist only in frames."""
    at = random.Random(7)
    return [
        (f"10.0.0.{110 + n}", f"02:00:00:00:{at.randrange(256):02x}:{at.randrange(256):02x}")
        for n in range(count)
    ]


def test_mode_arp(lan: Lan, servers: Servers) -> None:
    """Each client is told one virtual host's own MAC, always the same, by its master;
    both are told about equally often. Switches learn each where its master is."""
    wires = [lan.switch.capture(host.name) for host in lan.hosts]
    share(lan, "arp")
    told: dict[str, str] = {}
    for sender, mac in clients(60):
        (answer,) = ask(lan, sender, mac)
        assert answer.source_mac == answer.sender_mac
        assert (answer.target, answer.target_mac) == (sender, mac)
        told[sender] = answer.sender_mac
    shares = Counter(told.values())
    assert set(shares) == {virtual_mac(1), virtual_mac(2)}
    assert min(shares.values()) >= 20
    for number, wire in enumerate(wires):
        macs = {p.data[6:12].hex(":") for p in wire.received()}
        assert macs == {lan.hosts[number].mac, virtual_mac(number + 1)}
    some = flows.make(2000)
    frames = [flow.frame(virtual_mac(1 + flow.number % 2)) for flow in some]
    of_a, of_b = delivered = servers.deliver(frames)
    assert_once(delivered, set(range(2000)))
    assert set(of_a) == set(range(0, 2000, 2))

    lan.hard_cut(lan.a)
    c.wait_masters(lan.b, [1, 2])
    of_a, of_b = delivered = servers.deliver(frames)
    assert_once(delivered, set(range(2000)))
    assert not of_a
    for sender, mac in clients(10):
        (answer,) = ask(lan, sender, mac)
        assert answer.sender_mac == answer.source_mac == told[sender]


@pytest.mark.parametrize("own", [True, False], ids=["", "no-parent-address"])
def test_mode_arp_speaks_with_a_mac_of_its_own(lan: Lan, own: bool) -> None:
    """What a host begins itself shows switches no MAC that is another host's."""
    if not own:
        for host in lan.hosts:
            host.ip("addr", "del", f"{host.address}/24", "dev", "eth0")
    wires = [lan.switch.capture(host.name) for host in lan.hosts]
    share(lan, "arp")
    for host in lan.hosts:
        host.run("ping", "-c", "2", "-i", "0.2", "-W", "1", lan.client.address)
        lan.client.ip("neigh", "flush", "dev", "eth0")
    for number, wire in enumerate(wires):
        macs = {p.data[6:12].hex(":") for p in wire.received()}
        assert macs <= {lan.hosts[number].mac, virtual_mac(number + 1)}
        for arp in arps(wire.received()):
            assert arp.sender != VIP or arp.sender_mac == virtual_mac(number + 1)


def test_arpbalance(lan: Lan) -> None:
    """Several interfaces share an address: the asking client's address says whose MAC
    it is told, and only that one's master tells it. A takeover is not announced: it
    would bring all clients to one host."""
    for number, host in enumerate(lan.hosts):
        host.sysctl("net.inet.carp.arpbalance", 1)
        c.create(host, vhid=1, advskew=100 * number)
        c.create(host, vhid=2, advskew=100 - 100 * number, name="carp1")
    heard = lan.client.capture(only="arp")
    c.wait_state(lan.a, "master")
    c.wait_state(lan.b, "master", name="carp1")
    time.sleep(4)

    def answers() -> dict[str, str]:
        told = {}
        for sender, mac in clients(12):
            (answer,) = ask(lan, sender, mac)
            assert answer.source_mac == answer.sender_mac
            told[sender] = answer.sender_mac
        return told

    expected = {sender: virtual_mac(1 + int(sender.split(".")[3]) % 2) for sender, _ in clients(12)}
    assert answers() == expected
    lan.hard_cut(lan.a)
    c.wait_state(lan.b, "master")
    time.sleep(4)
    assert answers() == expected
    lan.client.run("ping", "-c", "2", "-i", "0.2", "-W", "1", VIP)
    assert not [a for a in arps(heard.received()) if a.gratuitous and a.sender == VIP]
    asking = {arp.sender for arp in arps(heard.received()) if arp.target == VIP}
    assert not asking & {host.address for host in lan.hosts}


# -- what is refused


def refused(host: Host, *words: str) -> str:
    return host.refused("ip", "link", *words).split("\n")[0]


@pytest.fixture
def host(world: World) -> Host:
    """carp0 has the vhids 1 and 3 on eth0, carp1 has vhid 2 there."""
    host = world.host("a")
    host.ip_batch("link add eth0 arp on type dummy", "link set eth0 up")
    c.create_nodes(host, "1:0,3:0")
    c.create(host, vhid=2, name="carp1", addresses=("10.0.0.8/24",))
    c.wait_masters(host, [1, 3])
    c.wait_state(host, "master", name="carp1")
    return host


@pytest.mark.parametrize(
    "words, sentence",
    [
        ("carpnodes 4:0,5:0,4:1", "vhid 4 occurs twice among the carpnodes"),
        ("carpnodes 4:0 vhid 5", "vhid and carpnodes exclude each other"),
        ("carpnodes 4:0,5:0 advskew 9", "carpnodes have their own advskew: vhid:advskew"),
        ("carpnodes 4:255", "advskew must be 0-254"),
        ("carpnodes 0:0,4:0", "vhid must be 1-255"),
        ("carpnodes 1:0,2:0,3:0 carpdev eth0", "vhid 2 is in use on eth0 already"),
    ],
)
def test_nodes_that_are_refused(host: Host, words: str, sentence: str) -> None:
    assert refused(host, "set", "carp0", "type", "carp", *words.split()) == f"Error: {sentence}."
    if "in use" not in sentence:
        added = refused(host, "add", "carp9", "type", "carp", *words.split())
        assert added == f"Error: {sentence}."


def test_a_vhid_that_is_taken_by_a_node(host: Host) -> None:
    for words in ("add carp9 type carp vhid 3 carpdev eth0", "set carp1 type carp vhid 3"):
        assert refused(host, *words.split()) == "Error: vhid 3 is in use on eth0 already."
    host.ip(*"link set carp0 type carp carpnodes 1:0,4:0".split())
    host.ip(*"link set carp1 type carp vhid 3".split())


def test_lists_that_ip_would_not_send(host: Host) -> None:
    def node(vhid: int, kind: int = CARP_NODE) -> bytes:
        return nest(kind, attribute(NODE_VHID, bytes([vhid])), attribute(NODE_ADVSKEW, b"\0"))

    many = [node(vhid) for vhid in range(10, 43)]
    before = host.ip("-d", "-j", "link")
    for data, words in (
        (nest(CARPNODES, *many), "an interface has at most 32 carpnodes"),
        (nest(CARPNODES), "carpnodes: the list is empty"),
        (nest(CARPNODES, node(4, 7)), "carpnodes: malformed list"),
        (nest(CARPNODES, node(4)[:-4]), "carpnodes: malformed list"),
        (nest(CARPNODES, nest(CARP_NODE, attribute(NODE_VHID, b"\1\1"))), "carpnodes: malformed"),
    ):
        with pytest.raises(NetlinkError) as error:
            host.rtnl.change_link("carp0", "carp", data)
        assert error.value.words.startswith(words)
    assert host.ip("-d", "-j", "link") == before
    host.rtnl.change_link("carp0", "carp", nest(CARPNODES, *many[:32]))
    assert len(c.info(host)["carpnodes"]) == 32
