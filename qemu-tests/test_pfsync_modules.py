# SPDX-License-Identifier: GPL-2.0
"""The modules: in which order they come and go, and who else uses connection tracking."""

from __future__ import annotations

import os
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib import conntrack, kernel
from lib import pfsync as p
from lib import pfsync_wire as w
from lib import traffic as t
from lib.clock import wait_for
from lib.host import Host
from lib.lan import Lan
from lib.modules import file, insmod, is_loaded, rmmod
from lib.pair import NAT, SERVER, SERVER6, Datagrams, Pair, close
from lib.pfsync import CREATOR, Peer
from lib.pfsync_wire import Action, frame
from lib.process import CommandFailed, run
from lib.world import World

CARP, ADAPTER = "carp", "pfsync_conntrack"
ALIAS = "pfsync-table-conntrack"
STATE = w.State.of(
    ("192.0.2.1", 1024, "198.51.100.1", 53),
    creatorid=CREATOR, src=w.Peer(state=2), dst=w.Peer(state=2), expire=600,
)  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_is_loaded(world: World) -> Iterator[None]:
    """Before, and after."""
    kernel.load("nf_nat", "nf_conntrack_netlink")
    assert not is_loaded("carp") and not is_loaded("pfsync_conntrack")
    yield
    for name in ("carp", "pfsync_conntrack"):
        if is_loaded(name):
            rmmod(name)


# -- loading, unloading


@pytest.mark.parametrize("order", [(CARP, ADAPTER), (ADAPTER, CARP)], ids=["carp", "adapter"])
def test_in_either_order(lan: Lan, order: tuple[str, str]) -> None:
    """The adapter stays while an interface uses it, up or down, and no longer."""
    insmod(*order)
    p.create(lan.a)
    for words in ("up", "down"):
        lan.a.ip("link", "set", "pfsync0", words)
        with pytest.raises(CommandFailed, match="in use"):
            rmmod("pfsync_conntrack")
    assert is_loaded("pfsync_conntrack")
    lan.a.ip("link", "del", "pfsync0")
    rmmod("pfsync_conntrack")
    with pytest.raises(CommandFailed, match="pfsync_conntrack is not there: modprobe says why"):
        p.create(lan.a)
    assert is_loaded("carp")
    insmod(ADAPTER)
    p.create(lan.a)
    rmmod("carp")
    rmmod("pfsync_conntrack")


def test_the_adapter_is_loaded_by_itself(lan: Lan) -> None:
    """By its alias, as soon as an interface is made."""
    insmod(CARP)
    with open("/etc/modprobe.d/pfsync-test.conf", "w") as f:
        f.write(f"install {ALIAS} /sbin/insmod {file(ADAPTER)}\n")
    try:
        p.create(lan.a)
        assert is_loaded("pfsync_conntrack") and p.bulk(lan.a) == "asking"
    finally:
        os.unlink("/etc/modprobe.d/pfsync-test.conf")
    aliases = run(("modinfo", "-F", "alias", file(ADAPTER))).stdout.split()
    assert ALIAS in aliases
    assert "rtnl-link-pfsync" in run(("modinfo", "-F", "alias", file(CARP))).stdout.split()


def test_carp_needs_no_other_module(world: World) -> None:
    assert run(("modinfo", "-F", "depends", file(CARP))).stdout.strip() == ""
    depends = run(("modinfo", "-F", "depends", file(ADAPTER))).stdout.strip().split(",")
    # none at all where they are built in
    assert set(depends) - {""} <= {"nf_conntrack", "nf_nat"}


def test_rmmod_under_load(world: World) -> None:
    """Two hosts with new connections by the hundred, held, sent and received."""
    insmod(CARP, ADAPTER)
    pair = Pair(world, NAT, "defer")
    sink = pair.server.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("", 9))
    flood = pair.client.spawn("python3", "-c", FLOOD, SERVER)
    flood.wait_output("ready", 5)
    for round_ in range(kernel.times(6)):
        wait_for(lambda: p.info(pair.b)["states"] > 200, 10, "there is something to lose")
        time.sleep(0.013 * round_)
        if round_ % 2:
            rmmod("carp")
        else:
            pair.a.ip("link", "del", "pfsync0")
            rmmod("carp")
        rmmod("pfsync_conntrack")
        assert not is_loaded("carp")
        insmod(CARP, ADAPTER)
        for host in pair.hosts:
            p.create(host, "defer", syncdev="eth2")
    assert flood.running()
    sink.close()


FLOOD = """
import itertools, socket, sys, time
print("ready", flush=True)
for i in itertools.count():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.sendto(b"x", (sys.argv[1], 9))
    except OSError:
        pass
    s.close()
    if i % 8 == 0:
        time.sleep(0.002)
"""


# -- others who use connection tracking


def events_of(listener: object, kind: str, text: str) -> list[str]:
    lines = listener.output().splitlines()  # type: ignore[attr-defined]
    return [line for line in lines if f"[{kind}]" in line and text in line]


@pytest.mark.parametrize("first", ["conntrack", "pfsync"])
def test_beside_conntrack_events(lan: Lan, first: str) -> None:
    """`conntrack -E` hears of everything, what is imported too, whoever came first, and
    after pfsync is gone."""
    # connections are tracked without pfsync, too
    rules = "table ip t { chain i { type filter hook input priority 0; ct state new counter; }; }"
    lan.a.run("nft", rules)
    insmod(CARP, ADAPTER)
    peer = Peer(lan.b)
    if first == "pfsync":
        p.meet(lan.a, peer)
    listener = lan.a.spawn("stdbuf", "-oL", "conntrack", "-E")
    time.sleep(0.5)
    if first == "conntrack":
        p.meet(lan.a, peer)
    for port in (5001, 5002, 5003):
        if port == 5003:
            rmmod("carp")
            rmmod("pfsync_conntrack")
        with lan.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"x", (lan.a.address, port))
        time.sleep(0.2)
        assert len(events_of(listener, "NEW", f"dport={port}")) == 1
        if port == 5002:
            continue
        if port == 5003:
            lan.a.run("conntrack", "-D", "-p", "udp", "--dport", "5003")
            time.sleep(0.2)
            assert len(events_of(listener, "DESTROY", "dport=5003")) == 1
            break
        # what the peer tells of: new, changed, gone
        peer.send(frame((Action.INS, STATE.but(src=w.Peer(state=1), dst=w.Peer()))))
        time.sleep(0.05)
        (event,) = events_of(listener, "NEW", "sport=1024")
        assert "src=192.0.2.1" in event
        peer.send(frame((Action.UPD, STATE)))
        time.sleep(0.05)
        assert "ASSURED" in events_of(listener, "UPDATE", "sport=1024")[-1]
        peer.send(frame((Action.DEL_C, STATE.name)))
        time.sleep(0.05)
        assert len(events_of(listener, "DESTROY", "sport=1024")) == 1
    assert listener.running()
    peer.close()


CONNTRACKD = """
General {{
    LockFile {folder}/lock
    LogFile {folder}/log
    HashSize 1024
    HashLimit 16384
    NetlinkBufferSize 1048576
    NetlinkBufferSizeMaxGrowth 2097152
    UNIX {{
        Path {folder}/control
    }}
    Filter From Kernelspace {{
        Protocol Accept {{ TCP UDP }}
        Address Ignore {{ IPv4_address 127.0.0.1 }}
    }}
}}
Sync {{
    Mode {mode} {{
    }}
    UDP {{
        IPv4_address {own}
        IPv4_Destination_Address {other}
        Port 3780
        Interface eth2
        Checksum on
    }}
}}
"""


NOTRACK = """
table inet own {
    chain in { type filter hook prerouting priority raw; udp dport 3780 notrack; }
    chain out { type filter hook output priority raw; udp dport 3780 notrack; }
}
"""
"""conntrackd's own packets."""


def start_conntrackd(host: Host, other: Host, mode: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"conntrackd-{host}", dir="/run"))
    config = folder / "config"
    config.write_text(
        CONNTRACKD.format(folder=folder, mode=mode, own=host.address, other=other.address)
    )
    daemon = host.spawn("conntrackd", "-C", str(config))
    wait_for(lambda: (folder / "control").exists() or not daemon.running(), 10, "conntrackd runs")
    assert daemon.running(), daemon.output()
    return config


@pytest.mark.parametrize("mode", ["FTFW", "NOTRACK"])
def test_beside_conntrackd(world: World, mode: str) -> None:
    """Both keep states of the same two hosts the same, with caches that are written to
    the kernel by hand or by themselves; none disturbs the other."""
    insmod(CARP, ADAPTER)
    pair = Pair(world, NAT + NOTRACK)
    configs = [start_conntrackd(pair.a, pair.b, mode), start_conntrackd(pair.b, pair.a, mode)]
    time.sleep(1)
    flow = Datagrams(pair.client, pair.server, SERVER6, 5004)
    flow.exchange()
    ends = t.connect(pair.client, pair.server, SERVER, 5001)
    time.sleep(2)
    pair.wait_same(proto=17)
    there = pair.wait_same(proto=6)
    assert there["tcp"] == "ESTABLISHED"
    cache = pair.b.run("conntrackd", "-C", str(configs[1]), "-e").stdout
    assert "dport=5001" in cache, "conntrackd knows them as well"
    # it puts others, without windows, in their place: these are met, and told of
    pair.b.run("conntrackd", "-C", str(configs[1]), "-c")
    time.sleep(2)
    pair.via(pair.b)
    ends[0].sendall(b"over b")
    assert ends[1].recv(16) == b"over b"
    flow.exchange()
    time.sleep(1.1)
    pair.via(pair.a)
    ends[1].sendall(b"over a")
    assert ends[0].recv(16) == b"over a"
    close(*ends)
    flow.close()
    time.sleep(2)
    pair.a.run("conntrack", "-F")
    pair.wait_gone(5, proto=6)
    for host in pair.hosts:
        assert not re.search("badstate [1-9]", host.ip("-d", "-s", "link", "show", "pfsync0"))


def test_an_entry_that_somebody_else_has_made(lan: Lan) -> None:
    """conntrackd, or conntrack(8), was faster: it is the same connection, and is kept the
    same from then on."""
    insmod(CARP, ADAPTER)
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        source, port, to, dport = STATE.tuples()[0]
        lan.a.run(
            "conntrack", "-I", "-p", "udp", "-s", source, "--sport", str(port), "-d", to,
            "--dport", str(dport), "-t", "100",
        )  # fmt: skip
        counted = p.counted(lan.a, peer.sends(frame((Action.INS, STATE.but(state_flags=w.ACK)))))
        assert "badstate" not in counted
        # whose name it has from now on is for both to agree upon: the lesser one
        received = peer.wait(Action.INS_ACK, Action.UPD, Action.UPD_C)
        names = [m.name if hasattr(m, "name") else m for m in received.frame.all(2, 4, 14)]
        peer.send(frame((Action.UPD, STATE.but(id=names[0].id, creatorid=names[0].creatorid))))
        time.sleep(0.05)
        entry = conntrack.entry(lan.a, original=STATE.tuples()[0])
        assert entry and conntrack.has(entry, "ASSURED")
        peer.send(frame((Action.DEL_C, names[0])))
        time.sleep(0.05)
        assert not conntrack.entry(lan.a, original=STATE.tuples()[0])


def test_an_entry_made_by_hand_is_told_of(lan: Lan) -> None:
    """Before its first packet passes, which connection tracking calls no new one."""
    insmod(CARP, ADAPTER)
    with Peer(lan.b) as peer, lan.a.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        p.meet(lan.a, peer)
        sink.bind(("", 5001))
        lan.a.run(
            "conntrack", "-I", "-p", "udp", "-s", lan.client.address, "--sport", "2000", "-d",
            lan.a.address, "--dport", "5001", "-t", "100",
        )  # fmt: skip
        (state,) = peer.wait(Action.INS).frame.states()
        assert state.tuples()[0] == (lan.client.address, 2000, lan.a.address, 5001)
        peer.send(frame((Action.INS_ACK, state.name)))
        with lan.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("", 2000))
            s.sendto(b"x", (lan.a.address, 5001))
        (update,) = peer.wait(Action.UPD_C).frame.all(Action.UPD_C)
        assert update.name == state.name


@pytest.mark.stock
def test_no_frame_loads_a_module(lan: Lan) -> None:
    """A connection whose helper is not loaded here does without."""
    insmod(CARP, ADAPTER)
    lan.a.run("modprobe", "-r", "nf_nat_tftp", "nf_conntrack_tftp")
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        for number, helper in enumerate(("", "tftp")):
            if helper:
                kernel.load("nf_conntrack_tftp")
            state = w.State.of(
                ("10.1.0.1", 5000 + number, "10.2.0.1", 69), id=b"helped!%d" % number,
                creatorid=CREATOR, src=w.Peer(state=2), dst=w.Peer(state=2), expire=600,
            )  # fmt: skip
            values = {"status": 2, "timeout": 600, "helper": "tftp"}
            extra = w.Extra(state.id, state.creatorid, values)
            for _ in range(3):
                peer.send(frame((Action.EXTRA, extra), (Action.INS, state)))
                time.sleep(1)
            entry = conntrack.entry(lan.a, original=state.tuples()[0])
            assert entry and entry.get("helper", "") == helper
            assert is_loaded("nf_conntrack_tftp") == bool(helper)
    assert not is_loaded("nf_nat_tftp")
    lan.a.run("conntrack", "-F")
    run(("modprobe", "-r", "nf_conntrack_tftp"), check=False)
