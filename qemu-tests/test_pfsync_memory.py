# SPDX-License-Identifier: GPL-2.0
"""The protocol without connection tracking: states of a table in memory."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Iterator

import pytest
from lib import memory_table as t
from lib import pfsync as p
from lib.clock import wait_for
from lib.kmsg import Kmsg
from lib.lan import Lan
from lib.modules import insmod, rmmod_unused
from lib.process import CommandFailed, run

TCP = "tcp src=10.9.0.1 dst=10.9.0.2 sport=1000 dport=80"


@pytest.fixture(autouse=True)
def memory(carp: None) -> Iterator[None]:
    insmod("pfsync_memory")
    yield
    rmmod_unused("pfsync_memory")


@pytest.fixture
def pair(memory: None, lan: Lan) -> Lan:
    for host in lan.hosts:
        p.create(host, "table memory")
    for host in lan.hosts:
        p.wait_bulk(host)
    return lan


def test_life_of_a_state(pair: Lan) -> None:
    t.say(pair.a, f"new {TCP} state=SYN_SENT end=100,0 maxend=100,0 maxwin=50,0 [UNREPLIED] mark=7")
    wait_for(lambda: t.entries(pair.b), 3, "b has the state")
    (there,) = t.entries(pair.b)
    assert (there["src"], there["dport"], there["mark"]) == ("10.9.0.1", "80", "7")
    assert "SYN_SENT" in there and "[UNREPLIED]" in there and there["end"] == "100,0"

    t.say(pair.a, f"pass {TCP} state=ESTABLISHED end=200,300 maxend=400,500 timeout=1000 [ASSURED]")
    wait_for(lambda: "ESTABLISHED" in t.entries(pair.b)[0], 3, "b knows that it is established")
    (there,) = t.entries(pair.b)
    assert (there["end"], there["maxend"]) == ("200,300", "400,500")
    assert "[ASSURED]" in there and "[UNREPLIED]" not in there
    assert there.timeout > 900

    t.say(pair.a, f"gone {TCP}")
    wait_for(lambda: not t.entries(pair.b), 3, "b has forgotten the state")


@pytest.mark.parametrize(
    "state",
    [
        "udp src=fd09::1 dst=fd09::2 sport=5 dport=53 dst=fd0a::9 sport=1053 mark=1",
        "icmp src=10.9.0.1 dst=10.9.0.2 sport=77 dport=2048",
        f"{TCP} state=ESTABLISHED helper=ftp zone=3 [ASSURED] end=1,2 maxend=3,4 maxack=5,6",
        "47 src=10.9.0.1 dst=10.9.0.2 timeout=60",
    ],
    ids=("nat", "icmp", "details", "gre"),
)
def test_nothing_is_lost(pair: Lan, state: str) -> None:
    t.say(pair.a, f"new {state}")
    wait_for(lambda: t.entries(pair.b), 3, "b has the state")
    (here,), (there,) = t.entries(pair.a), t.entries(pair.b)
    assert here.words == there.words and here.protocol == there.protocol
    assert abs(here.timeout - there.timeout) <= 1


def test_first_packets_wait_for_the_peer(pair: Lan) -> None:
    p.change(pair.a, "defer")
    t.say(pair.a, f"new {TCP} state=SYN_SENT [UNREPLIED]")
    assert t.figures(pair.a)["held"] == 1
    wait_for(lambda: t.figures(pair.a)["released"] == 1, 1, "the packet is sent on")
    assert t.entries(pair.b)


def test_what_expires(pair: Lan) -> None:
    t.say(pair.a, f"new {TCP} state=ESTABLISHED")
    wait_for(lambda: t.entries(pair.b), 3, "b has the state")
    t.say(pair.a, f"expire {TCP}")
    wait_for(lambda: not t.entries(pair.b), 4, "b has forgotten the state")


def test_full_table(pair: Lan, log: Kmsg) -> None:
    t.say(pair.b, "limit 3")
    for port in range(5):
        t.say(pair.a, f"new udp src=10.9.0.1 dst=10.9.0.2 sport=9 dport={port}")
    wait_for(lambda: p.stats(pair.b)["full"] > 0, 3, "b counts what did not fit")
    assert len(t.entries(pair.b)) == 3
    said = r"is not taken, from 10\.9\.0\.1:9 to 10\.9\.0\.2:\d: there is no room for it"
    assert any(re.search(said, line) for line in log.read())
    t.say(pair.b, "limit 10")
    wait_for(lambda: len(t.entries(pair.b)) == 5, 5, "the rest arrives when there is room")


def test_full_update_ends_while_states_come_and_go(memory: None, lan: Lan) -> None:
    """There is always something that nobody has confirmed yet: deletions are said three
    times, half a second apart."""
    p.create(lan.a, "table memory")
    p.create(lan.b, "table memory")
    for host in lan.hosts:
        p.wait_bulk(host)
    t.say(lan.a, f"new {TCP} state=ESTABLISHED")
    lan.b.ip("link", "set", "pfsync0", "down")
    lan.b.ip("link", "set", "pfsync0", "up")
    for port in range(100):
        state = f"udp src=10.9.0.1 dst=10.9.0.2 sport=9 dport={port}"
        t.say(lan.a, f"new {state}")
        time.sleep(0.1)
        t.say(lan.a, f"gone {state}")
    assert p.bulk(lan.b) == "done"


def test_syncdev_of_another_namespace(memory: None, lan: Lan) -> None:
    with pytest.raises(CommandFailed, match="is in another namespace"):
        lan.a.ip(*"link add pfsync0 netns b type pfsync syncdev eth0 table memory".split())


def test_commands_that_are_none(pair: Lan) -> None:
    for command, code in {
        "nonsense": errno.EINVAL,
        "new tcp src=10.9.0.300": errno.EINVAL,
        f"new {TCP} state=NOWHERE": errno.EINVAL,
        f"pass {TCP}": errno.ENOENT,
    }.items():
        with pytest.raises(OSError) as error:
            t.say(pair.a, command)
        assert error.value.errno == code, command
    with pytest.raises(OSError) as error:
        t.say(pair.client, f"new {TCP}")
    assert error.value.errno == errno.ENODEV


def test_adapter_stays_while_it_is_used(pair: Lan) -> None:
    t.say(pair.a, f"new {TCP} state=ESTABLISHED")
    with pytest.raises(CommandFailed):
        run(("rmmod", "pfsync_memory"))
    for host in pair.hosts:
        host.ip("link", "del", "pfsync0")
