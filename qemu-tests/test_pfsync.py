# SPDX-License-Identifier: GPL-2.0
"""States that two hosts keep the same: what a user sees of it."""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

import pytest
from lib import conntrack, kernel
from lib import pfsync as p
from lib import traffic as t
from lib.clock import wait_for
from lib.conntrack import has
from lib.host import Host
from lib.pair import (
    CLIENT,
    CLIENT6,
    FORWARDED,
    NAT,
    SERVER,
    SERVER6,
    SHARED,
    Datagrams,
    Pair,
    close,
    exchange,
)
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

TCP, UDP, ICMP, ICMP6, GRE, SCTP = 6, 17, 1, 58, 47, 132
WITHIN = 1.3
"""What changes is sent within a second (test_pfsync_sending measures it); then it is
looked for, which takes a busy guest a while."""
ROUND = 1
"""That an entry is gone is noticed within so many seconds."""


# -- what arrives


def test_tcp(world: World) -> None:
    """From the first packet to the last, with NAT; and in the middle the other host is
    on the way."""
    pair = Pair(world, NAT)
    mine, theirs = t.connect(pair.client, pair.server, SERVER, 5001)
    port = mine.getsockname()[1]
    there = pair.wait_same(proto=TCP)
    assert there["original"] == (CLIENT, port, SERVER, 5001)
    assert there["reply"][2] == SHARED
    # how much depends on the guest's memory
    assert there["tcp"] == "ESTABLISHED" and 0 not in there["wscale"]
    assert has(there, "SEEN_REPLY", "ASSURED", "SRC_NAT") and not has(there, "DST_NAT")
    assert 431990 < there["timeout"] <= 432000
    exchange(mine, theirs)
    pair.via(pair.b)
    exchange(mine, theirs)
    mine.sendall(b"x" * 100_000)
    received = 0
    while received < 100_000:
        received += len(theirs.recv(1 << 17))
    pair.via(pair.a)
    exchange(theirs, mine)
    # half closed, then closed
    mine.shutdown(socket.SHUT_WR)
    assert theirs.recv(1) == b""
    # conntrack takes a FIN that is sent again for the other side's
    assert pair.wait_same(proto=TCP)["tcp"] in ("FIN_WAIT", "CLOSE_WAIT", "TIME_WAIT")
    theirs.close()
    mine.close()
    pair.wait_same(tcp="TIME_WAIT", timeout=WITHIN)


def test_tcp_reset(world: World) -> None:
    pair = Pair(world)
    mine, theirs = t.connect(pair.client, pair.server, SERVER, 5001)
    pair.wait_same(tcp="ESTABLISHED")
    mine.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    mine.close()
    there = pair.wait_same(tcp="CLOSE")
    assert there["timeout"] <= 10
    theirs.close()
    pair.wait_gone(10 + ROUND + WITHIN, proto=TCP)


def test_forwarded_port(world: World) -> None:
    """Translated the other way, from the outside: DNAT."""
    pair = Pair(world, NAT)
    mine, theirs = t.connect(pair.server, pair.client, SHARED, FORWARDED, to=8080)
    there = pair.wait_same(proto=TCP)
    assert there["original"][2:] == (SHARED, FORWARDED)
    assert there["reply"][:2] == (CLIENT, 8080)
    assert has(there, "DST_NAT", "ASSURED") and not has(there, "SRC_NAT")
    pair.via(pair.b)
    exchange(mine, theirs)
    close(mine, theirs)


@pytest.mark.parametrize(
    ("address", "nat"), [(SERVER, ""), (SERVER, NAT), (SERVER6, "")], ids=["plain", "NAT", "IPv6"]
)
def test_udp(world: World, address: str, nat: str) -> None:
    """One datagram, an answer, a stream; and through the other host."""
    pair = Pair(world, nat)
    flow = Datagrams(pair.client, pair.server, address, 5004)
    flow.send()
    there = pair.wait_same(proto=UDP)
    assert not has(there, "SEEN_REPLY") and 26 <= there["timeout"] <= 30
    flow.exchange()
    there = pair.wait_same(proto=UDP)
    assert has(there, "SEEN_REPLY") and not has(there, "ASSURED")
    time.sleep(2)
    flow.exchange()
    time.sleep(WITHIN)
    there = pair.wait_same(proto=UDP)
    assert has(there, "ASSURED") and 115 <= there["timeout"] <= 120
    known = flow.peer
    pair.via(pair.b)
    flow.exchange()
    assert flow.peer == known, "it comes from where it came before"
    flow.close()


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_icmp(world: World, six: bool) -> None:
    """A ping that goes on through the other host; its reply alone finds the entry there."""
    pair = Pair(world, "" if six else NAT)
    address, proto = (SERVER6, ICMP6) if six else (SERVER, ICMP)
    pair.client.run("ping", "-c1", "-e", "77", address)
    there = pair.wait_same(proto=proto)
    assert there["original"][1] == 77
    assert (there["original"].dport, there["reply"].dport) == (
        (0x8000, 0x8100) if six else (0x800, 0)
    )
    # the request by way of a, the reply by way of b
    pair.server.ip("route", "replace", "default", "via", "fd02::3" if six else "192.0.2.3")
    if not six:
        pair.server.ip("route", "replace", f"{SHARED}/32", "via", "192.0.2.3")
    pair.client.run("ping", "-c1", "-e", "77", "-W1", address)


def raw(host: Host, to: str, protocol: int, payload: bytes) -> None:
    with host.socket(socket.AF_INET, socket.SOCK_RAW, protocol) as s:
        s.sendto(payload, (to, 0))


SCTP_INIT = bytes.fromhex(
    "1389 138a 00000000 00000000"  # ports 5001 to 5002, no tag yet
    "01 00 0014 01020304 00010000 0001 0001 00000001"
)


@pytest.mark.parametrize(
    ("protocol", "payload"),
    [
        (GRE, bytes.fromhex("00000800") + bytes(20)),
        (SCTP, SCTP_INIT),
        (99, b"anything"),
        (136, bytes.fromhex("1389138a00140000") + bytes(12)),
    ],
    ids=["GRE", "SCTP", "unknown", "UDP-Lite"],
)
def test_other_protocols(world: World, protocol: int, payload: bytes) -> None:
    pair = Pair(world, NAT if protocol == 99 else "")
    # the packets are hand-made, without their sums
    for host in pair.hosts:
        host.sysctl("net.netfilter.nf_conntrack_checksum", 0)
    raw(pair.client, SERVER, protocol, payload)
    pair.wait_same(proto=protocol)
    if protocol == SCTP:
        return
    back = payload[2:4] + payload[:2] + payload[4:] if protocol == 136 else payload
    raw(pair.server, CLIENT if protocol != 99 else SHARED, protocol, back)
    there = pair.wait_same(proto=protocol)
    assert has(there, "SEEN_REPLY")


def test_everything_that_linux_knows(world: World) -> None:
    """Mark, labels, zone; and accounting starts anew on the other host."""
    rules = """
        table inet t {
            chain early {
                type filter hook prerouting priority raw
                ct zone set 7
            }
            chain later {
                type filter hook forward priority filter
                ct mark set 0x12345678
                ct label set 3
                ct label set 100
            }
        }"""
    pair = Pair(world, rules, start=False)
    for host in pair.hosts:
        host.sysctl("net.netfilter.nf_conntrack_acct", 1)
        host.sysctl("net.netfilter.nf_conntrack_timestamp", 1)
        p.create(host, syncdev="eth2")
    for host in pair.hosts:
        p.wait_bulk(host)
    mine, theirs = t.connect(pair.client, pair.server, SERVER, 5001)
    exchange(mine, theirs)
    there = pair.wait_same(proto=TCP)
    assert (there["mark"], there["zone"]) == (0x12345678, 7)
    labels = int.from_bytes(there["labels"], "little")
    assert labels == 1 << 3 | 1 << 100
    assert there["start"] > 0
    assert there["counters_original"] == there["counters_reply"] == (0, 0)
    pair.via(pair.b)
    exchange(mine, theirs)
    there = conntrack.entry(pair.b, proto=TCP)
    assert there and there["counters_original"][0] >= 2
    # a mark that changes arrives with the packet that changed it
    pair.via(pair.a)
    pair.a.run("nft", "add", "rule", "inet", "t", "later", "ct", "mark", "set", "5")
    exchange(mine, theirs)
    pair.wait_same(mark=5)
    close(mine, theirs)


def test_ftp(world: World) -> None:
    """The helper, what it expects, the connection that came of it, and the sequence
    numbers that it moved: at first all by way of a, then by way of b."""
    kernel.load("nf_conntrack_ftp", "nf_nat_ftp")
    rules = (
        NAT
        + """
        table inet helpers {
            ct helper ftp { type "ftp" protocol tcp; }
            chain prerouting {
                type filter hook prerouting priority filter
                tcp dport 21 ct helper set "ftp"
            }
        }"""
    )
    pair = Pair(world, rules)
    ftp = t.Ftp(pair.client, pair.server, SERVER)
    first = ftp.open_data()
    exchange(*first)

    def control(host: Host) -> dict[str, Any] | None:
        return next((e for e in conntrack.entries(host) if e["original"].dport == 21), None)

    time.sleep(WITHIN)
    here = control(pair.a)
    assert here and here["helper"] == "ftp" and has(here, "SEQ_ADJUST", "HELPER")
    there = pair.wait_same(original=here["original"])
    assert there["adjust_original"][1:] != (0, 0)
    data = next(e for e in conntrack.entries(pair.a) if "master" in e)
    assert has(data, "EXPECTED") and data["master"] == here["original"]
    pair.wait_same(original=data["original"])
    # announced to a, opened through b
    ftp.announce()
    time.sleep(WITHIN)
    assert pair.b.run("conntrack", "-L", "expect").stdout.strip(), "b expects it as well"
    pair.via(pair.b)
    ftp.noop()
    second = ftp.connect_data()
    exchange(*second)
    third = ftp.open_data()
    exchange(*third)
    pair.via(pair.a)
    time.sleep(WITHIN)
    pair.via(pair.a)
    ftp.noop()
    exchange(*first)
    close(*first, *second, *third)
    ftp.stop()
    for host in pair.a, pair.b:
        assert p.stats(host)["badstate"] == 0


# -- what goes


def test_deleted_by_hand(world: World) -> None:
    """What the administrator deletes is gone on both, whoever has it from whom."""
    pair = Pair(world)
    flows = [Datagrams(pair.client, pair.server, SERVER, port) for port in (5001, 5002)]
    for flow in flows:
        flow.send()
    time.sleep(WITHIN)
    assert len(conntrack.entries(pair.b, proto=UDP)) == 2
    pair.a.run("conntrack", "-D", "-p", "udp", "--dport", "5001")
    wait_for(
        lambda: len(conntrack.entries(pair.b, proto=UDP)) == 1,
        ROUND + WITHIN,
        "b deletes it as well",
    )
    pair.a.run("conntrack", "-F")
    pair.wait_gone(ROUND + WITHIN, proto=UDP)
    for flow in flows:
        flow.close()


def test_expiry(world: World) -> None:
    """What ends here, ends there, long before its time there has come."""
    pair = Pair(world)
    pair.a.sysctl("net.netfilter.nf_conntrack_udp_timeout", 5)
    flow = Datagrams(pair.client, pair.server, SERVER, 5001)
    flow.send()
    pair.wait_same(proto=UDP)
    time.sleep(2)
    assert pair.entries(proto=UDP)
    pair.wait_gone(1 + ROUND + WITHIN, proto=UDP)
    flow.close()


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_a_busy_flow_stays_fresh(world: World, protocol: str) -> None:
    """For much longer than the timeout: conntrack tells nobody that it is refreshed."""
    pair = Pair(world)
    if protocol == "udp":
        for name in ("udp_timeout", "udp_timeout_stream"):
            pair.a.sysctl(f"net.netfilter.nf_conntrack_{name}", 10)
        flow = Datagrams(pair.client, pair.server, SERVER, 5001)
        proto, act = UDP, flow.exchange
    else:
        pair.a.sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", 10)
        ends = t.connect(pair.client, pair.server, SERVER, 5001)
        proto, act = TCP, lambda: exchange(*ends)
    act()
    pair.wait_same(proto=proto)
    before = p.stats(pair.b)
    for _ in range(40):
        act()
        time.sleep(0.8)
        there = conntrack.entry(pair.b, proto=proto)
        assert there and there["timeout"] >= 7, "the copy is about to die"
    after = p.stats(pair.b)
    assert after["ipackets"] - before["ipackets"] <= 45, "one frame a second is enough"
    assert p.stats(pair.a)["ipackets"] < 45
    pair.wait_gone(10 + ROUND + WITHIN, proto=proto)
    if protocol == "udp":
        flow.close()
    else:
        close(*ends)


# -- what stays


def test_own_protocols_and_loopback_stay(world: World) -> None:
    """112, 240, and what a host has with itself: new, and in a bulk update."""
    pair = Pair(world, words="local")
    capture = pair.b.capture("eth2", only="proto 240")
    raw(pair.a, SERVER, 112, bytes(36))
    loop = pair.a.socket(socket.AF_INET, socket.SOCK_DGRAM)
    six = pair.a.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    for to in ("127.0.0.1", pair.a.address):
        loop.sendto(b"x", (to, 9))
    six.sendto(b"x", ("::1", 9))
    here = conntrack.entries(pair.a)
    assert {112, UDP} <= {e["proto"] for e in here}, "they are tracked here"
    raw(pair.a, SERVER, 99, b"for all to know")
    time.sleep(3)
    pair.b.ip_batch("link set pfsync0 down", "link set pfsync0 up")
    p.wait_bulk(pair.b)
    close(loop, six)
    told = {state.proto for one in p.heard(capture.packets()) for state in one.frame.told()}
    assert 99 in told and not told & {112, 240, UDP}
    assert not [e for e in conntrack.entries(pair.b) if e["proto"] in (112, UDP)]


@pytest.mark.parametrize("how", ["mark", "zone"])
def test_nosync(world: World, how: str) -> None:
    """Connections that the administrator keeps; others are sent, and so are those that
    are new after he changed his mind, and the others when they are found."""
    rules = """
        table inet t {
            chain early {
                type filter hook prerouting priority raw
                udp dport 5001 ct zone set 9
                udp sport 5001 ct zone set 9
            }
            chain mangle {
                type filter hook forward priority mangle
                udp dport 5001 ct mark set 0x1f0
            }
        }"""
    words = {"mark": "nosync-mark 0x100/0x100", "zone": "nosync-zone 9"}[how]
    pair = Pair(world, rules, words)
    flows = {port: Datagrams(pair.client, pair.server, SERVER, port) for port in (5001, 5002)}
    for flow in flows.values():
        flow.exchange()
    time.sleep(WITHIN)
    (there,) = conntrack.entries(pair.b, proto=UDP)
    assert there["original"].dport == 5002
    # not in a bulk update either
    pair.b.ip_batch("link set pfsync0 down", "link set pfsync0 up")
    p.wait_bulk(pair.b)
    assert len(conntrack.entries(pair.b, proto=UDP)) == 1
    for host in pair.hosts:
        p.change(host, f"-nosync-{how}")
    third = Datagrams(pair.client, pair.server, SERVER6, 5001)
    third.exchange()
    wait_for(lambda: len(conntrack.entries(pair.b, proto=UDP)) == 3, ROUND + WITHIN, "b has all")
    for flow in (*flows.values(), third):
        flow.close()


def test_bulk_update(world: World) -> None:
    """Who comes later is told of everything that was before."""
    pair = Pair(world, NAT, start=False)
    p.create(pair.a, syncdev="eth2")
    p.wait_bulk(pair.a)
    ends = t.connect(pair.client, pair.server, SERVER, 5001)
    flow = Datagrams(pair.client, pair.server, SERVER6, 5004)
    flow.exchange()
    p.create(pair.b, syncdev="eth2")
    p.wait_bulk(pair.b, timeout=5)
    pair.wait_same(proto=TCP, timeout=0)
    pair.wait_same(proto=UDP, timeout=0)
    assert (p.stats(pair.a)["bulk_answered"], p.stats(pair.b)["bulk_received"]) == (1, 1)
    pair.via(pair.b)
    exchange(*ends)
    assert CLIENT6 and flow.exchange() is None
    close(*ends)
    flow.close()


def test_cut_off_with_its_link_up(world: World) -> None:
    """A switch between them fails for longer than a state is sent again. Who missed one
    does not know, and has it as soon as they hear each other, though nothing happens."""
    pair = Pair(world, NAT)
    first = t.connect(pair.client, pair.server, SERVER, 5001)
    pair.wait_same(proto=TCP)
    answered = p.stats(pair.a)["bulk_answered"]
    pair.cut_off()
    second = t.connect(pair.client, pair.server, SERVER, 5002)
    time.sleep(20)
    assert len(conntrack.entries(pair.b, proto=TCP)) == 1
    pair.join()
    wait_for(lambda: len(conntrack.entries(pair.b, proto=TCP)) == 2, ROUND + WITHIN, "b has both")
    pair.via(pair.b)
    exchange(*first)
    exchange(*second)
    time.sleep(5)
    assert p.stats(pair.a)["bulk_answered"] == answered + 1
    close(*first, *second)


@pytest.mark.parametrize("seconds", [1.5, 4.5, 20])
def test_a_change_that_was_lost(world: World, seconds: float) -> None:
    """It is told again, also to a peer who has never told of a state himself: b has been
    a backup from the beginning."""
    pair = Pair(world, NAT)
    ends = t.connect(pair.client, pair.server, SERVER, 5001)
    pair.wait_same(proto=TCP)
    pair.cut_off()
    close(*ends)
    time.sleep(seconds)
    (before,) = conntrack.entries(pair.b, proto=TCP)
    assert before["tcp"] == "ESTABLISHED"
    pair.join()
    pair.wait_same(5, proto=TCP, tcp="TIME_WAIT")


def test_cut_off_until_a_state_is_almost_given_up(world: World) -> None:
    """However long it lasts, a connection that was opened meanwhile is known afterwards."""
    pair = Pair(world, NAT)
    ends = [t.connect(pair.client, pair.server, SERVER, 5001)]
    pair.wait_same(proto=TCP)
    for tenths in range(40, 66, 2):
        pair.cut_off()
        ends.append(t.connect(pair.client, pair.server, SERVER, 5002 + tenths))
        time.sleep(tenths / 10)
        pair.join()
        wait_for(
            lambda: len(conntrack.entries(pair.b, proto=TCP)) == len(ends),
            ROUND + WITHIN,
            f"b has all after {tenths / 10} s",
        )
        time.sleep(1)
    for pair_of_ends in ends:
        close(*pair_of_ends)
