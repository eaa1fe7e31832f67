# SPDX-License-Identifier: GPL-2.0
"""carpctl states: what pfsync knows of, and whose it is."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from lib import conntrack
from lib import pfsync as p
from lib import traffic as t
from lib.host import Host
from lib.kernel import work
from lib.lan import Lan
from lib.pair import CLIENT, NAT, SERVER, SHARED, Datagrams, Pair
from lib.pfsync import Peer
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")


def states(host: Host, words: str = "") -> list[dict[str, Any]]:
    return json.loads(host.run("carpctl", "states", "--json", *words.split()).stdout)


def test_both_hosts_name_it_the_same(world: World) -> None:
    """A connection that is translated; it is a's own, and b has a copy."""
    pair = Pair(world, NAT)
    mine, _ = t.connect(pair.client, pair.server, SERVER, 5001)
    port = mine.getsockname()[1]
    pair.wait_same(proto=6)
    time.sleep(2)
    ours, theirs = (states(host, "--proto tcp") for host in pair.hosts)
    (our,), (their,) = ours, theirs
    for key in ("id", "creatorid", "original", "reply", "protocol", "mark", "zone"):
        assert our[key] == their[key]
    assert our["original"] == {
        "source": CLIENT, "source_port": port, "destination": SERVER, "destination_port": 5001,
    }  # fmt: skip
    assert our["reply"]["destination"] == SHARED
    assert (our["own"], our["created_here"]) == (True, True)
    assert (their["own"], their["created_here"]) == (False, False)
    for state in (our, their):
        assert not any(state[key] for key in ("queued", "unconfirmed", "held"))
        assert state["age"] <= 10 and 100 < state["timeout"] <= 432000
    # In words, and by all filters.
    (header, line) = pair.a.run("carpctl", "states", "--port", "5001").stdout.splitlines()
    assert header.split()[:4] == ["PROTO", "SOURCE", "DESTINATION", "TRANSLATED"]
    assert line.split()[:3] == ["tcp", f"{CLIENT}:{port}", f"{SERVER}:5001"]
    assert line.split()[6:8] == ["own", "yes"]
    assert line.endswith(f"{our['id']}/{our['creatorid']}")
    for words, count in (
        (f"--host {SHARED}", 1),
        ("--host 192.0.2.77", 0),
        ("--own --port 5001", 1),
        ("--copies --port 5001", 0),
        (f"--creatorid {our['creatorid']} --proto 6", 1),
        ("--creatorid 1", 0),
        ("--unconfirmed", 0),
    ):
        assert len(states(pair.a, words)) == count, words


def test_what_is_not_confirmed(lan: Lan) -> None:
    flow = Datagrams(lan.client, lan.a, lan.a.address, 5000)
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        flow.send()
        time.sleep(1.2)
        (state,) = states(lan.a, "--unconfirmed")
        assert state["unconfirmed"] or state["queued"]
        shown = lan.a.run("carpctl", "states").stdout
        assert "unconfirmed" in shown or "queued" in shown
    flow.close()


def test_all_of_many(world: World) -> None:
    """More than one message has room for, each once; and nobody waits for that."""
    pair = Pair(world)
    conntrack.restore(pair.a, 5000)
    p.change(pair.a, "syncdev none")
    p.change(pair.a, "syncdev eth2")
    p.wait_bulk(pair.a)
    before = time.monotonic()
    found = states(pair.a, "--proto udp")
    assert time.monotonic() - before < work(1.0)
    assert len({(it["creatorid"], it["id"]) for it in found}) == len(found) == 5000


def test_nobody_else_may_look(lan: Lan) -> None:
    p.create(lan.a)
    command = "setpriv --reuid 65534 --regid 65534 --clear-groups carpctl states"
    done = lan.a.run(*command.split(), check=False)
    assert done.returncode == 1 and "not permitted" in done.stderr


def test_without_an_interface(host: Host) -> None:
    assert states(host) == []


def test_words_that_mean_nothing(host: Host) -> None:
    for words, told in (
        ("--proto tpc", "--proto tpc: icmp, tcp, udp,"),
        ("--creatorid peer", "--creatorid peer: a hexadecimal number"),
        ("--own --copies", "cannot be used with"),
        ("--host example.org", "invalid"),
    ):
        done = host.run("carpctl", "states", *words.split(), check=False)
        assert done.returncode == 2 and told in done.stderr, done
