# SPDX-License-Identifier: GPL-2.0
"""Every helper of the kernel does the same with pfsync as without: what it translates, what
it expects, and what comes of that. Most look at a connection's first packet, before that is
in the table.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Callable

import pytest
from lib import conntrack, kernel
from lib import pfsync as p
from lib import traffic as t
from lib.conntrack import has
from lib.host import Host
from lib.pair import CLIENT, NAT, SERVER, SHARED, Pair, close
from lib.rtnl import attribute, nest
from lib.world import World

pytestmark = [pytest.mark.usefixtures("pfsync"), pytest.mark.stock]

# name, IP protocol, port
HELPERS = [
    ("ftp", "tcp", 21),
    ("tftp", "udp", 69),
    ("netbios-ns", "udp", 137),
    ("snmp_trap", "udp", 162),
    ("RAS", "udp", 1719),
    ("Q.931", "tcp", 1720),
    ("pptp", "tcp", 1723),
    ("sip", "udp", 5060),
    ("sane", "tcp", 6566),
    ("irc", "tcp", 6667),
    ("amanda", "udp", 10080),
]
MODULES = (
    "nf_conntrack_netbios_ns",
    "nf_conntrack_sane",
    *(
        f"nf_{kind}_{name}"
        for name in ("ftp", "tftp", "h323", "pptp", "sip", "irc", "amanda")
        for kind in ("conntrack", "nat")
    ),
    "nf_nat_snmp_basic",
)


def rules() -> str:
    names = {name: re.sub(r"\W", "_", name) for name, *_ in HELPERS}
    objects = "".join(
        f'ct helper {names[name]} {{ type "{name}" protocol {protocol}; }}\n'
        for name, protocol, _ in HELPERS
    )
    lines = "".join(
        f'{protocol} dport {port} ct helper set "{names[name]}"\n'
        for name, protocol, port in HELPERS
    )
    chains = "".join(
        f"chain {hook} {{ type filter hook {hook} priority filter; {lines} }}\n"
        for hook in ("prerouting", "output")
    )
    return f"{NAT}\ntable inet helpers {{\n{objects}{chains}}}\n"


Meanwhile = Callable[[], object]
"""What happens after a helper has seen what it is to expect, and before that comes."""


def nothing() -> None:
    pass


def udp(pair: Pair, port: int) -> tuple[socket.socket, socket.socket]:
    """The client's end, which is not connected, and the server's."""
    ends = [host.socket(socket.AF_INET, socket.SOCK_DGRAM) for host in (pair.client, pair.server)]
    ends[1].bind(("", port))
    for end in ends:
        end.settimeout(2)
    return ends[0], ends[1]


def check_expected(pair: Pair, protocol: int) -> None:
    """There is a connection that a helper has expected, and whose master is known."""
    found = [e for host in pair.hosts for e in conntrack.entries(host, proto=protocol)]
    assert [e for e in found if has(e, "EXPECTED") and "master" in e], found


def ftp(pair: Pair) -> None:
    session = t.Ftp(pair.client, pair.server, SERVER)
    close(*session.open_data())
    session.stop()


def tftp(pair: Pair, meanwhile: Meanwhile = nothing) -> None:
    client, server = udp(pair, 69)
    client.sendto(b"\0\1file\0octet\0", (SERVER, 69))
    request, peer = server.recvfrom(64)
    assert request == b"\0\1file\0octet\0" and peer[0] == SHARED
    meanwhile()
    with pair.server.socket(socket.AF_INET, socket.SOCK_DGRAM) as data:
        data.sendto(b"\0\3\0\1data", peer)
        answer, source = client.recvfrom(64)
    assert answer == b"\0\3\0\1data" and source[1] != 69
    check_expected(pair, socket.IPPROTO_UDP)
    close(client, server)


def netbios_ns(pair: Pair) -> None:
    """The firewall itself asks all on its network."""
    pair.a.ip("addr", "add", "10.2.0.2/24", "brd", "10.2.0.255", "dev", "eth0")
    with pair.a.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        asking.sendto(b"who", ("10.2.0.255", 137))
        time.sleep(0.1)
    shown = pair.a.run("conntrack", "-L", "expect").stdout
    assert "sport=137" in shown, shown


def snmp_trap(pair: Pair) -> None:
    def tlv(tag: int, content: bytes) -> bytes:
        return bytes([tag, len(content)]) + content

    def trap(address: str) -> bytes:
        binding = tlv(0x30, tlv(6, b"\x2b\x06") + tlv(0x40, socket.inet_aton(address)))
        pdu = tlv(2, b"\1") + tlv(2, b"\0") + tlv(2, b"\0") + tlv(0x30, binding)
        return tlv(0x30, tlv(2, b"\1") + tlv(4, b"public") + tlv(0xA7, pdu))

    client, server = udp(pair, 162)
    client.sendto(trap(CLIENT), (SERVER, 162))
    assert server.recv(200) == trap(SHARED)
    close(client, server)


def ras(pair: Pair) -> None:
    client, server = udp(pair, 1719)
    client.sendto(b"of another kind", (SERVER, 1719))
    data, peer = server.recvfrom(64)
    assert data == b"of another kind"
    server.sendto(b"likewise", peer)
    assert client.recv(64) == b"likewise"
    close(client, server)


def q931(pair: Pair) -> None:
    client, server = t.connect(pair.client, pair.server, SERVER, 1720)
    message = b"\3\0\0\x0fof another."
    client.sendall(message)
    assert server.recv(64) == message
    close(client, server)


def pptp(pair: Pair) -> None:
    cookie = 0x1A2B3C4D
    client, server = t.connect(pair.client, pair.server, SERVER, 1723)
    head = struct.Struct("!HHIHH")

    def say(end: socket.socket, other: socket.socket, kind: int, body: bytes) -> bytes:
        end.sendall(head.pack(head.size + len(body), 1, cookie, kind, 0) + body)
        heard = other.recv(200)
        assert head.unpack_from(heard) == (head.size + len(body), 1, cookie, kind, 0)
        return heard[head.size :]

    say(client, server, 1, struct.pack("!HHIIHH64s64s", 0x100, 0, 1, 1, 1, 1, b"c", b"v"))
    say(server, client, 2, struct.pack("!HBBIIHH64s64s", 0x100, 1, 0, 1, 1, 1, 1, b"s", b"v"))
    call = struct.pack("!HHIIIIHHHH64s64s", 5, 1, 300, 100000, 1, 1, 64, 0, 0, 0, b"", b"")
    (call_id,) = struct.unpack_from("!H", say(client, server, 7, call))
    # the call's number is the client's again on the way back
    reply = struct.pack("!HHBBHIHHI", 7, call_id, 1, 0, 0, 100000, 64, 0, 0)
    assert struct.unpack_from("!HH", say(server, client, 8, reply)) == (7, 5)
    close(client, server)


def sip(pair: Pair, meanwhile: Meanwhile = nothing) -> None:
    media = pair.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
    media.bind(("", 7000))
    media.settimeout(2)
    body = (
        f"v=0\r\no=a 1 1 IN IP4 {CLIENT}\r\ns=-\r\nc=IN IP4 {CLIENT}\r\nt=0 0\r\n"
        "m=audio 7000 RTP/AVP 0\r\n"
    )
    invitation = (
        f"INVITE sip:b@{SERVER} SIP/2.0\r\nVia: SIP/2.0/UDP {CLIENT}:5060\r\n"
        f"From: <sip:a@{CLIENT}>;tag=1\r\nTo: <sip:b@{SERVER}>\r\nCall-ID: 1@{CLIENT}\r\n"
        f"CSeq: 1 INVITE\r\nContact: <sip:a@{CLIENT}:5060>\r\n"
        f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    client, server = udp(pair, 5060)
    client.bind(("", 5060))
    client.sendto(invitation.encode(), (SERVER, 5060))
    heard = server.recv(2000).decode()
    assert f"c=IN IP4 {SHARED}" in heard and CLIENT not in heard.partition("\r\n\r\n")[2]
    (port,) = re.findall(r"m=audio (\d+)", heard)
    meanwhile()
    with pair.server.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
        speaker.sendto(b"hello", (SHARED, int(port)))
        assert media.recv(64) == b"hello"
    close(client, server, media)


def sane(pair: Pair, meanwhile: Meanwhile = nothing) -> None:
    client, server = t.connect(pair.client, pair.server, SERVER, 6566)
    client.sendall(struct.pack("!II", 7, 0))
    assert server.recv(64)
    server.sendall(struct.pack("!IHH", 0, 0, 6001))
    assert client.recv(64)
    meanwhile()
    data = t.connect(pair.client, pair.server, SERVER, 6001)
    check_expected(pair, socket.IPPROTO_TCP)
    close(client, server, *data)


def irc(pair: Pair, meanwhile: Meanwhile = nothing) -> None:
    client, server = t.connect(pair.client, pair.server, SERVER, 6667)
    listener = t.listen(pair.client, 0)
    here = int.from_bytes(socket.inet_aton(CLIENT))
    port = listener.getsockname()[1]
    client.sendall(f"PRIVMSG b :\x01DCC SEND file {here} {port} 9\x01\n".encode())
    *_, address, port, _ = server.recv(200).decode().split()
    address = socket.inet_ntoa(int(address).to_bytes(4))
    assert address == SHARED
    meanwhile()
    data = pair.server.socket(socket.AF_INET, socket.SOCK_STREAM)
    data.settimeout(5)
    data.connect((address, int(port)))
    mine, _ = listener.accept()
    close(client, server, listener, data, mine)


def amanda(pair: Pair, meanwhile: Meanwhile = nothing) -> None:
    client, server = udp(pair, 10080)
    client.sendto(b"Amanda 2.4 REQ HANDLE 1 SEQ 1\nSERVICE sendbackup\n", (SERVER, 10080))
    _, peer = server.recvfrom(200)
    server.sendto(b"Amanda 2.4 REP HANDLE 1 SEQ 1\nCONNECT DATA 7100 MESG 7101\n", peer)
    client.recv(200)
    meanwhile()
    data = t.connect(pair.client, pair.server, SERVER, 7100)
    check_expected(pair, socket.IPPROTO_TCP)
    close(client, server, *data)


# linux/netfilter/nfnetlink_cthelper.h, nfnetlink_queue.h
CTHELPER, QUEUE = 9 << 8, 3 << 8
QUEUE_PACKET, QUEUE_VERDICT, QUEUE_CONFIG = QUEUE, QUEUE | 1, QUEUE | 2
REQUEST, ACK, CREATE = 0x1, 0x4, 0x400


class Program:
    """A helper in user space, for UDP port 7777, which lets all packets pass."""

    def __init__(self, host: Host) -> None:
        self._socket = host.socket(socket.AF_NETLINK, socket.SOCK_RAW, conntrack.NETLINK_NETFILTER)
        self._socket.settimeout(5)
        number = lambda kind, value: attribute(kind, struct.pack("!I", value))  # noqa: E731
        kind = attribute(1, struct.pack("!H", socket.AF_INET)) + attribute(2, b"\x11")
        policy = attribute(1, b"program\0") + number(2, 1) + number(3, 60)
        self._helper = attribute(1, b"program\0") + nest(2, kind)
        self._ask(
            CTHELPER,
            self._helper
            + number(3, 5)
            + nest(4, number(1, 1), nest(2, policy))
            + number(5, 0)
            + number(6, 1),
            CREATE,
        )
        # it takes packets from queue 5, their head alone
        self._ask(QUEUE_CONFIG, attribute(1, struct.pack("!BxH", 1, socket.AF_INET)), queue=5)
        self._ask(QUEUE_CONFIG, attribute(2, struct.pack("!IB", 0, 1)), queue=5)

    def accept(self) -> None:
        """Lets the next packet pass."""
        packet = self._socket.recv(4096)
        assert struct.unpack_from("=IH", packet)[1] == QUEUE_PACKET
        # the first attribute is the packet's header, which begins with its id
        (number,) = struct.unpack_from("!I", packet, 24)
        self._send(QUEUE_VERDICT, attribute(2, struct.pack("!II", 1, number)), 0, 5)

    def _send(self, kind: int, body: bytes, flags: int, queue: int) -> None:
        body = struct.pack("!BBH", 0, 0, queue) + body
        self._socket.send(struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, 0, 0) + body)

    def _ask(self, kind: int, body: bytes, flags: int = 0, queue: int = 0) -> None:
        self._send(kind, body, ACK | flags, queue)
        (error,) = struct.unpack_from("=i", self._socket.recv(4096), 16)
        assert error == 0, f"netlink: {error}"

    def close(self) -> None:
        self._ask(CTHELPER | 2, self._helper)
        self._socket.close()


@pytest.mark.parametrize("how", ["without", "with", "defer"])
def test_a_helper_in_user_space(world: World, how: str) -> None:
    """The kernel gives it no packet of an entry that somebody else has, too, until that is
    in the table."""
    kernel.load("nfnetlink_cthelper", "nfnetlink_queue")
    pair = Pair(world, NAT, "defer" if how == "defer" else "", start=how != "without")
    program = Program(pair.a)
    table = """table inet helpers { ct helper program { type "program" protocol udp; }
        chain prerouting { type filter hook prerouting priority filter
            udp dport 7777 ct helper set "program"; }; }"""
    pair.a.run("nft", "-f", "-", input=table)
    client, server = udp(pair, 7777)
    for _ in range(3):
        client.sendto(b"there", (SERVER, 7777))
        program.accept()
        _, peer = server.recvfrom(64)
        server.sendto(b"back", peer)
        program.accept()
        assert client.recv(64) == b"back"
    if how != "without":
        # found within a second, and told within another
        pair.wait_same(2.5, proto=socket.IPPROTO_UDP)
    close(client, server)
    pair.a.run("nft", "delete", "table", "inet", "helpers")
    pair.a.run("conntrack", "-F")
    program.close()


@pytest.mark.parametrize("how", ["without", "with", "defer"])
@pytest.mark.parametrize(
    "use",
    [ftp, tftp, netbios_ns, snmp_trap, ras, q931, pptp, sip, sane, irc, amanda],
    ids=lambda use: use.__name__,
)
def test_a_helper_does_the_same(world: World, use: Callable[[Pair], None], how: str) -> None:
    kernel.load(*MODULES)
    pair = Pair(world, rules(), "defer" if how == "defer" else "", start=how != "without")
    use(pair)
    if how != "without":
        for host in pair.hosts:
            stats = p.stats(host)
            assert (stats["badstate"], stats["onomem"]) == (0, 0), host


@pytest.mark.parametrize("use", [tftp, sip, sane, irc, amanda], ids=lambda use: use.__name__)
def test_what_one_host_expects_comes_by_way_of_the_other(
    world: World, use: Callable[[Pair, Meanwhile], None]
) -> None:
    """Announced to a, which dies; b knows it, and what it is translated to."""
    kernel.load(*MODULES)
    pair = Pair(world, rules())

    def take_over() -> None:
        time.sleep(1.3)
        assert pair.b.run("conntrack", "-L", "expect").stdout.strip(), "b expects it as well"
        pair.via(pair.b)

    use(pair, take_over)
    for host in pair.hosts:
        stats = p.stats(host)
        assert (stats["badstate"], stats["onomem"]) == (0, 0), host


@pytest.mark.parametrize("words", ["", "defer"], ids=["with", "defer"])
def test_a_first_packet_that_does_not_get_out(world: World, words: str) -> None:
    """It is dropped behind netfilter, once, and the next connection is a good one."""
    kernel.load(*MODULES)
    pair = Pair(world, rules(), words)
    pair.a.run(
        "nft",
        'table netdev last { chain out { type filter hook egress device "eth1" priority 0; '
        "udp dport 69 udp length > 100 drop; }; }",
    )
    client, server = udp(pair, 69)
    for _ in range(10):
        with pair.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"\0\1" + 200 * b"x" + b"\0octet\0", (SERVER, 69))
    close(client, server)
    tftp(pair)


@pytest.mark.parametrize("words", ["", "defer"], ids=["with", "defer"])
def test_what_a_helper_drops_leaves_no_entry(world: World, words: str) -> None:
    """A SIP helper drops what announces a medium and cannot be read."""
    kernel.load(*MODULES)
    pair = Pair(world, rules(), words)
    client, server = udp(pair, 5060)
    broken = f"INVITE sip:b@{SERVER} SIP/2.0\r\nVia: SIP/2.0/UDP {CLIENT}:5060\r\nCSeq: x\r\n\r\n"
    client.sendto(broken.encode(), (SERVER, 5060))
    time.sleep(2)
    for host in pair.hosts:
        assert not [e for e in conntrack.entries(host) if e["original"].dport == 5060]
    close(client, server)
