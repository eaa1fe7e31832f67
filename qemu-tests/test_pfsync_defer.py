# SPDX-License-Identifier: GPL-2.0
"""First packets that wait for a peer: by packet timestamps."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from lib import kernel
from lib import pfsync as p
from lib import pfsync_wire as w
from lib.capture import Capture
from lib.clock import MILLISECOND, now
from lib.host import Host
from lib.lan import Lan
from lib.pfsync import Peer, Received
from lib.pfsync_wire import Action, frame

pytestmark = pytest.mark.usefixtures("pfsync")

PORT = 7000
HOLD = 20 * MILLISECOND
AT_MOST = 128
ROUND_TRIP = 2 * MILLISECOND
"""What a held packet may take beside its wait: the timer, the frame, its confirmation."""


@pytest.fixture
def peer(lan: Lan) -> Iterator[Peer]:
    """b, with which a's pfsync0 has met; a defers."""
    # so that no packet waits for ARP
    lan.a.ip_batch(
        f"neigh replace {lan.client.address} lladdr {lan.client.mac} dev eth0 nud permanent",
        f"neigh replace {lan.client.address6} lladdr {lan.client.mac} dev eth0 nud permanent",
    )
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer, "defer")
        yield peer


def udp_socket(host: Host, family: int = socket.AF_INET) -> socket.socket:
    return host.socket(family, socket.SOCK_DGRAM)


def payloads(capture: Capture) -> dict[int, int]:
    """When each datagram of ours arrived, by the number in it."""
    found: dict[int, int] = {}
    for packet in capture.packets():
        (number,) = struct.unpack("!I", packet.data[42:46])
        assert number not in found, f"datagram {number} came twice"
        found[number] = packet.time
    return found


def datagrams(lan: Lan, count: int, first: int = 0) -> None:
    """So many from a to the client, each a connection of its own."""
    with udp_socket(lan.a) as s:
        for number in range(first, first + count):
            s.sendto(struct.pack("!I", number), (lan.client.address, PORT + number))


@contextlib.contextmanager
def answering(peer: Peer, answer: Callable[[Received], bytes | None]) -> Iterator[list[int]]:
    """The peer answers what it hears meanwhile; yields when it heard."""
    heard: list[int] = []
    stop = threading.Event()

    def listen() -> None:
        while not stop.is_set():
            received = peer.receive(0.05)
            if received and received.frame.states():
                heard.append(received.time)
                data = answer(received)
                if data:
                    peer.send(data)

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield heard
    finally:
        stop.set()
        thread.join()


def confirm(received: Received) -> bytes:
    return frame((Action.INS_ACK, *(state.name for state in received.frame.states())))


def update(received: Received) -> bytes:
    (state,) = received.frame.states()
    return frame((Action.UPD_C, w.Update(state.id, state.creatorid, state.src, state.dst)))


ONLY = f"udp and dst portrange {PORT}-{PORT + 500}"


@pytest.mark.parametrize("answer", [confirm, update], ids=["INS_ACK", "UPD_C"])
def test_released_by_the_peer(lan: Lan, peer: Peer, answer: Callable[[Received], bytes]) -> None:
    """As soon as it says anything of the state; the INS goes at once and asks for it."""
    at_client = lan.client.capture(only=ONLY)
    on_wire = lan.b.capture(only="proto 240")
    with answering(peer, answer):
        datagrams(lan, 1)
        time.sleep(0.1)
    arrived = payloads(at_client)[0]
    frames = p.heard(on_wire.packets())
    (insert,) = (r for r in frames if r.frame.all(Action.INS))
    (told,) = (r for r in frames if r.outgoing)
    assert insert.frame.states()[0].state_flags & w.ACK
    assert insert.time < told.time < arrived, "not before the peer had it"
    assert arrived - told.time < kernel.work(MILLISECOND / 2)
    assert arrived - insert.time < HOLD
    counted = p.stats(lan.a)
    assert (counted["deferred"], counted["undeferred"]) == (1, 0)


def test_released_by_the_clock(lan: Lan, peer: Peer) -> None:
    at_client = lan.client.capture(only=ONLY)
    on_wire = lan.b.capture(only="proto 240")
    datagrams(lan, 1)
    time.sleep(0.1)
    insert = p.heard(on_wire.packets())[0].time
    assert HOLD - ROUND_TRIP < payloads(at_client)[0] - insert < HOLD + ROUND_TRIP
    counted = p.stats(lan.a)
    assert (counted["deferred"], counted["undeferred"]) == (1, 1)


def test_only_the_first_packet(lan: Lan, peer: Peer) -> None:
    """What follows overtakes none: it is held by nobody, once the peer has the state."""
    at_client = lan.client.capture(only=ONLY)
    with answering(peer, confirm), udp_socket(lan.a) as s:
        times = []
        for number in range(5):
            times.append(now())
            s.sendto(struct.pack("!I", number), (lan.client.address, PORT))
            time.sleep(0.05)
    arrived = payloads(at_client)
    assert list(arrived) == list(range(5))
    assert all(arrived[i] - times[i] < kernel.work(MILLISECOND) for i in range(1, 5))
    assert p.stats(lan.a)["deferred"] == 1


@pytest.mark.figures
def test_128_at_most(lan: Lan, peer: Peer) -> None:
    """The 129th lets the oldest go; all arrive, in their order."""
    # a slow test is not to be mistaken for a fast release
    at_client = lan.client.capture(only=ONLY)
    begin = now()
    datagrams(lan, AT_MOST + 20)
    took = now() - begin
    time.sleep(0.1)
    arrived = payloads(at_client)
    assert list(arrived) == list(range(AT_MOST + 20))
    assert took < HOLD, f"to send them took {took / MILLISECOND} ms"
    early = [number for number, at in arrived.items() if at - begin < HOLD - ROUND_TRIP]
    assert early == list(range(20))
    assert p.stats(lan.a)["deferred"] == p.stats(lan.a)["undeferred"] == AT_MOST + 20


def test_what_is_not_held(lan: Lan, peer: Peer) -> None:
    """What comes in, multicast, broadcast, and connections that are there already."""
    at_client = lan.client.capture(only="udp")
    with udp_socket(lan.a) as s, udp_socket(lan.client) as inward:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(lan.a.address))
        with udp_socket(lan.a) as server:
            server.bind((lan.a.address, 9))
            server.settimeout(1)
            inward.sendto(b"in", (lan.a.address, 9))
            _, back = server.recvfrom(16)
            server.sendto(b"\0\0\0\1", back)
        for to in ("239.1.2.3", "10.0.0.255"):
            s.sendto(b"\0\0\0\2", (to, PORT))
    time.sleep(0.1)
    assert len(at_client.received()) == 3
    assert p.stats(lan.a)["deferred"] == 0


@pytest.mark.parametrize("kind", ["TCP", "ping", "IPv6"])
def test_other_protocols(lan: Lan, peer: Peer, kind: str) -> None:
    """A connection can be opened, and its first packet was held."""
    with answering(peer, confirm):
        if kind == "TCP":
            listener = lan.client.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.bind(("", PORT))
            listener.listen()
            with listener, lan.a.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
                s.settimeout(2)
                s.connect((lan.client.address, PORT))
                end, _ = listener.accept()
                end.close()
        elif kind == "ping":
            lan.a.run("ping", "-c1", "-W1", lan.client.address)
        else:
            capture = lan.client.capture(only="udp")
            with udp_socket(lan.a, socket.AF_INET6) as s:
                s.sendto(b"x", (lan.client.address6, PORT))
            time.sleep(0.1)
            assert len(capture.packets()) == 1
    counted = p.stats(lan.a)
    assert (counted["deferred"], counted["undeferred"]) == (1, 0)


def test_forwarded_with_nat(lan: Lan, peer: Peer) -> None:
    """Translated as if nothing had been held, and its connection is there."""
    lan.a.sysctl("net.ipv4.ip_forward", 1)
    lan.a.ip("addr", "add", "10.7.0.1/24", "dev", "eth0")
    rules = """
        table ip t {
            chain postrouting {
                type nat hook postrouting priority srcnat
                ip saddr 10.7.0.0/24 snat to 10.0.0.2
            }
        }"""
    lan.a.run("nft", "-f", "-", input=rules)
    lan.b.ip_batch(
        "addr add 10.7.0.9/24 dev eth0", "route add 10.0.0.100/32 via 10.7.0.1 src 10.7.0.9"
    )
    at_client = lan.client.capture(only=ONLY)
    with answering(peer, confirm), udp_socket(lan.b) as s:
        s.sendto(struct.pack("!I", 0), (lan.client.address, PORT))
        time.sleep(0.1)
    (packet,) = at_client.packets()
    assert socket.inet_ntoa(packet.data[26:30]) == lan.a.address
    assert p.stats(lan.a)["deferred"] == 1 and p.stats(lan.a)["undeferred"] == 0


@pytest.mark.parametrize(
    "how", ["link set pfsync0 down", "link del pfsync0", "link set pfsync0 type pfsync -syncdev"]
)
def test_nothing_is_lost_when_it_ends(lan: Lan, peer: Peer, how: str) -> None:
    """Packets that are held go on their way when pfsync0 goes down, is deleted or has no
    syncdev any more; once each."""
    at_client = lan.client.capture(only=ONLY)
    stop = threading.Event()

    def send() -> None:
        number = 0
        while not stop.is_set():
            datagrams(lan, 1, number)
            number += 1
            time.sleep(0.001)
        sent.append(number)

    sent: list[int] = []
    thread = threading.Thread(target=send)
    thread.start()
    time.sleep(0.1)
    lan.a.ip(*how.split())
    time.sleep(0.1)
    stop.set()
    thread.join()
    time.sleep(0.1)
    assert sorted(payloads(at_client)) == list(range(sent[0]))


def test_switched_off_and_on(lan: Lan, peer: Peer) -> None:
    """While it is up, and while packets are held."""
    at_client = lan.client.capture(only=ONLY)
    for words, expected in (("-defer", 0), ("defer", 1), ("defer off", 1), ("defer on", 2)):
        p.change(lan.a, words)
        datagrams(lan, 1, first=expected + 10 * len(words))
        time.sleep(0.05)
        assert p.stats(lan.a)["deferred"] == expected, words
    datagrams(lan, 5, first=400)
    p.change(lan.a, "-defer")
    time.sleep(0.1)
    assert len(payloads(at_client)) == 9
