# SPDX-License-Identifier: GPL-2.0
"""The harness itself: what the other tests take for granted."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lib import kmsg
from lib.clock import busy, wait_for
from lib.lan import Lan
from lib.pinger import longest_gap, lost
from lib.process import CommandFailed, run
from lib.rtnl import IFLA_ADDRESS, IFLA_LINK, NetlinkError, attribute
from lib.world import World, processes_of

ETH_P_EXPERIMENTAL = b"\x88\xb5"


@pytest.mark.virtual
def test_idle_time_costs_nothing() -> None:
    """A minute that no processor works through, so the host need not wait for it."""
    before, start = busy(), time.monotonic()
    time.sleep(60)
    assert 60 <= time.monotonic() - start < 60.1
    assert busy() - before < 1


@pytest.mark.virtual
def test_instructions_are_nanoseconds() -> None:
    """The same work takes the same time, nearly: what the kernel does on the side
    falls into the one or the other."""

    def work() -> int:
        start = time.monotonic_ns()
        sum(range(50_000))
        return time.monotonic_ns() - start

    work()
    times = sorted(work() for _ in range(9))
    assert times[4] - times[0] < times[4] / 20


def test_all_hosts_reach_each_other(lan: Lan) -> None:
    for host in lan.hosts:
        for address in (host.address, host.address6):
            pinger = lan.client.ping(address)
            time.sleep(0.05)
            pings = pinger.stop()
            assert len(pings) > 40
            assert not lost(pings), "a quiet network loses nothing"


def test_many_hosts(make_lan: Callable[..., Lan]) -> None:
    lan = make_lan(8)
    for host in lan.hosts:
        lan.client.run("ping", "-c", "1", "-W", "1", host.address)


def test_capture_sees_both_ways_in_order(lan: Lan) -> None:
    at_client = lan.client.capture(only="icmp")
    at_host = lan.a.capture(only="icmp")
    lan.client.run("ping", "-c", "3", "-i", "0.2", lan.a.address)
    assert [p.outgoing for p in at_client.packets()] == [True, False] * 3
    assert [p.outgoing for p in at_host.packets()] == [False, True] * 3
    times = [p.time for p in at_host.packets()]
    assert times == sorted(times)
    assert abs(times[2] - times[0] - 200_000_000) < 10_000_000
    for sent, received in zip(at_client.sent(), at_host.received(), strict=True):
        assert sent.data == received.data
        # a veth, a bridge, a veth
        assert 0 < received.time - sent.time < 1_000_000


def test_capture_filters(lan: Lan) -> None:
    everything = lan.b.capture()
    nothing = lan.b.capture(only="vlan 4000")
    frame = b"\xff" * 6 + bytes.fromhex("02aabbccddee") + ETH_P_EXPERIMENTAL + bytes(46)
    lan.a.send_frame(frame)
    time.sleep(0.01)
    assert frame in [p.data for p in everything.received()]
    assert nothing.packets() == []


@pytest.mark.parametrize("kind", ["hard cut", "cable pull"])
def test_cutting_a_host_off(lan: Lan, kind: str) -> None:
    """Both cuts stop the traffic; only one of them can be noticed by the host."""
    cut, mend = {
        "hard cut": (lan.hard_cut, lan.heal),
        "cable pull": (lan.cable_pull, lan.cable_plug),
    }[kind]
    pinger = lan.client.ping(lan.a.address)
    time.sleep(0.1)
    cut(lan.a)
    assert lan.a.link().carrier == (kind == "hard cut")
    assert lan.b.link().carrier
    start = time.time_ns()
    time.sleep(0.5)
    end = time.time_ns()
    mend(lan.a)
    time.sleep(0.1)
    pings = pinger.stop()
    gap = longest_gap(pings)
    assert gap.start <= start and gap.end >= end
    assert pings[0].received and pings[-1].received, "before and after, all is well"


def test_errors_are_sentences(lan: Lan) -> None:
    with pytest.raises(CommandFailed, match=r"on a: ip link del nope failed with 1: .*nope"):
        lan.a.ip("link", "del", "nope")
    with pytest.raises(AssertionError, match="waited 0.1 s in vain: the sun rises"):
        wait_for(lambda: False, 0.1, "the sun rises")
    with pytest.raises(CommandFailed, match="sleep 9 did not end within 1 s"):
        run(("sleep", "9"), timeout=1)


def test_nothing_is_left_behind() -> None:
    """Programs that do not want to go, their orphans, and the hosts."""
    world = World()
    host = world.host("stubborn")
    trap = "trap '' TERM HUP; echo ready; while :; do sleep 1; done"
    process = host.spawn("sh", "-c", f'setsid sh -c "{trap}" & {trap}')
    process.wait_output("ready\nready", 5)
    inode = host.inode
    assert len(processes_of(inode)) >= 2
    world.close()
    assert processes_of(inode) == []
    assert not Path("/run/netns/stubborn").exists()
    assert not process.running()


def test_sysctls_are_a_hosts_own(world: World) -> None:
    a, b = world.make_hosts("a", "b")
    a.sysctl("net.ipv4.ip_forward", 1)
    assert a.sysctl("net.ipv4.ip_forward") == "1"
    assert b.sysctl("net.ipv4.ip_forward") == "0"


def test_log_is_read(log: kmsg.Kmsg) -> None:
    log.read()
    kmsg.note("hello from a test")
    assert log.read() == ["6: hello from a test"]
    assert log.read() == []
    assert "6: hello from a test" in log.lines


INNER = """
from lib import kmsg

def test_quiet():
    pass

def test_loud(world):
    kmsg.note("harness-complaint: x")

def test_after(world):
    world.host("x").spawn("sleep", "1000")
"""


def test_a_complaint_fails_its_test(tmp_path: Path) -> None:
    """A pytest in the pytest, to which alone "harness-complaint" is one."""
    here = Path(__file__).parent
    (tmp_path / "complaints").write_text("harness-complaint:")
    (tmp_path / "outer.py").symlink_to(here / "conftest.py")
    (tmp_path / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(here)!r})\nfrom outer import *\n"
    )
    (tmp_path / "test_inner.py").write_text(INNER)
    done = subprocess.run(
        (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "test_inner.py"),
        cwd=tmp_path,
        env={**os.environ, "CARP_COMPLAINTS": str(tmp_path / "complaints"), "CARP_INNER": "1"},
        capture_output=True,
        text=True,
    )
    output = done.stdout + done.stderr
    # what failed is the teardown of the loud one, and nothing else
    assert ".E" in output and "ERROR test_inner.py::test_loud" in output, output
    assert output.strip().splitlines()[-1].startswith("3 passed, 1 error"), output
    assert "the kernel complained: 6: harness-complaint: x" in output


def test_rtnetlink_by_hand(world: World) -> None:
    host = world.host("x")
    parent = struct.pack("=I", 2)  # the second device, lo being the first
    host.rtnl.add_link(
        "dummy0", "dummy", extra=attribute(IFLA_ADDRESS, bytes.fromhex("0200000000aa"))
    )
    assert host.link("dummy0").address == "02:00:00:00:00:aa" == host.show("dummy0")["address"]
    assert host.link("dummy0").operstate == "down"
    host.ip("link", "set", "dev", "dummy0", "up")
    assert host.link("dummy0").carrier
    host.rtnl.add_link("vlan7", "vlan", attribute(1, b"\7\0"), extra=attribute(IFLA_LINK, parent))
    assert host.link("vlan7").data[1] == b"\7\0"
    with pytest.raises(NetlinkError) as refused:
        host.rtnl.add_link(
            "vlan8", "vlan", attribute(1, b"\xff\xff"), extra=attribute(IFLA_LINK, parent)
        )
    assert "VLAN id" in refused.value.words
    host.rtnl.delete_link("dummy0")
    with pytest.raises(NetlinkError):
        host.link("dummy0")


def test_killing_is_by_pid(world: World) -> None:
    process = world.host("x").spawn("sleep", "1000")
    assert process.running()
    process.kill()
    assert not process.running()
    assert process.exit_code == -signal.SIGKILL
