# SPDX-License-Identifier: GPL-2.0
"""carpctl peers: whom pfsync has heard, what it is, and how far it is behind."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from lib import pfsync as p
from lib.clock import wait_for
from lib.host import Host
from lib.lan import Lan
from lib.pair import SERVER, Datagrams, Pair
from lib.pfsync import CREATOR, Peer
from lib.pfsync_wire import EVERYTHING, GREETING, Action, State, Tuple, frame
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

GREETS = (Action.EXTRA, GREETING)
ASK = (Action.UPD_REQ, EVERYTHING)


def peers(host: Host) -> list[dict[str, Any]]:
    return json.loads(host.run("carpctl", "peers", "--json").stdout)["pfsync"]


def test_two_hosts(world: World) -> None:
    """Each has the other, which has all; and is behind when its cable is cut."""
    pair = Pair(world)
    flow = Datagrams(pair.client, pair.server, SERVER, 5000)
    flow.send()
    pair.wait_same(proto=17)
    wait_for(lambda: peers(pair.a)[0]["behind"] == 0, 3, "b has all")
    for host, other in ((pair.a, pair.b), (pair.b, pair.a)):
        (peer,) = peers(host)
        assert peer["address"] == other.address
        assert peer["system"] == "linux"
        assert peer["frames"] == p.stats(host)["ipackets"]
    *_, header, line = pair.a.run("carpctl", "peers").stdout.splitlines()
    assert header.split() == ["ADDRESS", "SYSTEM", "HEARD", "FRAMES", "BEHIND"]
    assert line.split()[1] == "linux" and line.split()[4] == "0"
    pair.cut_off()
    for _ in range(3):
        flow.send()
        time.sleep(1.1)
    (peer,) = peers(pair.a)
    assert peer["behind"] >= 2 and 3000 <= peer["heard_ms"] <= 10000
    pair.join()
    flow.send()
    wait_for(lambda: peers(pair.a)[0]["behind"] == 0, 3, "b has all")
    assert peers(pair.a)[0]["heard_ms"] < 3000


def test_what_they_are(lan: Lan) -> None:
    """Each by what it says; who has said nothing yet is not known. Anybody may look."""
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        addresses = [f"10.0.0.{number}" for number in range(70, 82)]
        for address in addresses:
            lan.b.ip("addr", "add", f"{address}/24", "dev", "eth0")
        pf, linux, silent, *others = addresses
        state = State.of(Tuple("192.0.2.1", 2048, "198.51.100.1", 80), creatorid=CREATOR, proto=17)
        peer.send(frame((Action.INS, state)), source=pf)
        peer.send(frame(ASK, GREETS), source=linux)
        peer.send(frame((Action.DEL_C, state.name)), source=silent)
        for address in others:
            peer.send(frame((Action.DEL_C, state.name)), source=address)
        time.sleep(0.1)
        told = {it["address"]: it for it in peers(lan.a)}
    assert [told[address]["system"] for address in (pf, linux, silent)] == [
        "pf",
        "linux",
        "unknown",
    ]
    assert all(told[address]["behind"] is None for address in (pf, linux, silent))
    # Eight are told apart, and the rest is one.
    assert len(told) == 9 and told[None]["frames"] == len(addresses) + 1 - 8
    assert told[None]["system"] == "unknown"
    command = ["setpriv", "--reuid=65534", "--clear-groups", "carpctl", "peers"]
    assert "others" in lan.a.run(*command).stdout


def test_others_after_it_was_set_up_again(lan: Lan) -> None:
    with Peer(lan.b) as peer:
        p.meet(lan.a, peer)
        assert [it["address"] for it in peers(lan.a)] == [lan.b.address]
    for state in ("down", "up"):
        lan.a.ip("link", "set", "pfsync0", state)
    assert peers(lan.a) == []


def test_without_an_interface(host: Host) -> None:
    assert peers(host) == []
    told = host.run("carpctl", "peers").stdout
    assert told.endswith("pfsync:\nADDRESS  SYSTEM  HEARD  FRAMES  BEHIND\n")
