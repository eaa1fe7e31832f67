# SPDX-License-Identifier: GPL-2.0
"""carpctl metrics: what it says is what the other commands say, in Prometheus' format."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lib import carp as c
from lib import pfsync as p
from lib.clock import wait_for
from lib.host import Host
from lib.lan import Lan
from lib.pair import SERVER, Datagrams, Pair
from lib.prometheus import Metric, parse
from lib.world import World
from test_scale import VHIDS, VLANS, create, prepare

FAMILIES = ("ipv4", "ipv6")
# Counters that have no metric of their name.
FRAMES = {"ipackets": ("received", "ipv4"), "opackets": ("sent", "ipv4")}


def metrics(host: Host) -> dict[str, Metric]:
    return parse(host.run("carpctl", "metrics").stdout)


def told(host: Host, *words: str) -> Any:
    """What another command says."""
    return json.loads(host.run("carpctl", *words, "--json").stdout)


@pytest.mark.usefixtures("carp")
def test_a_pair(lan: Lan) -> None:
    c.create_pair(lan)
    time.sleep(3)
    lan.b.run("carpctl", "-g", "carp", "carpdemote", "7")
    for host, state, skew in ((lan.a, "master", "0"), (lan.b, "backup", "100")):
        found = metrics(host)
        states = found["carp_vhost_state"].by("interface", "vhid", "state")
        assert states == {
            ("carp0", "1", name): float(name == state) for name in ("init", "backup", "master")
        }
        info = found["carp_vhost_info"].by("interface", "vhid", "carpdev", "advbase", "advskew")
        assert info == {("carp0", "1", "eth0", "1", skew): 1}
        assert found["carp_digest_differs"].by("interface") == {("carp0",): 0}
    assert metrics(lan.b)["carp_demotion"].by("group", "cause") == {("carp", "manual"): 7}

    # b sends nothing, so that its counters stand still as soon as a is cut off
    lan.hard_cut(lan.a)
    lan.b.ip("link", "set", "carp0", "down")
    found, stats = metrics(lan.b), told(lan.b, "stats", "carp0")
    for way, name in (("received", "rx"), ("sent", "tx")):
        values = found[f"carp_advertisements_{way}_total"].by("interface", "family")
        assert values == {("carp0", family): stats[f"{name}_{family}"] for family in FAMILIES}
    assert stats["rx_ipv4"] > 0
    assert "carp_advertisements_dropped_total" not in found, "nothing was"
    reasons = found["carp_namespace_advertisements_dropped_total"].by("reason")
    others = ("rx_ipv4", "rx_ipv6", "rx_echo")
    names = {it for it in stats if it.startswith("rx_")}.difference(others)
    # what came of authentication has a metric of its own
    names = {it for it in names if not it.startswith("rx_auth_")}
    assert reasons == {(name.removeprefix("rx_"),): 0 for name in names}
    changes = found["carp_transitions_total"].by("interface", "vhid", "to", "reason")
    assert changes == {
        ("carp0", "1", "backup", "started"): 1,
        ("carp0", "1", "init", "stopped"): 1,
    }
    changes = metrics(lan.a)["carp_transitions_total"].by("vhid", "to", "reason")
    assert changes["1", "master", "master_timed_out"] == 1
    heard = found["carp_last_advertisement_seconds"].by("interface", "vhid", "peer", "digest")
    assert 0 <= heard["carp0", "1", lan.a.address, "good"] < 3


@pytest.mark.usefixtures("carp")
def test_what_is_dropped(lan: Lan) -> None:
    """Who has a vhid that nobody has here, which each interface counts and the network
    namespace once; and whose digest differs."""
    c.create(lan.a)
    c.create(lan.a, vhid=2, name="carp1", addresses=("10.0.0.9/24",))
    c.wait_state(lan.a, "master")
    lan.b.send_frame(c.Advertisement(vhid=9).frame())
    lan.b.send_frame(c.Advertisement(vhid=1, password="other").frame())
    time.sleep(0.1)
    found = metrics(lan.a)
    dropped = found["carp_namespace_advertisements_dropped_total"].by("reason")
    assert (dropped["bad_vhid",], dropped["bad_auth",]) == (1, 1)
    of_interface = found["carp_advertisements_dropped_total"].by("interface", "reason")
    assert of_interface == {
        ("carp0", "bad_vhid"): 1,
        ("carp1", "bad_vhid"): 1,
        ("carp0", "bad_auth"): 1,
    }
    assert found["carp_digest_differs"].by("interface") == {("carp0",): 1, ("carp1",): 0}


@pytest.mark.usefixtures("carp")
def test_names_that_are_escaped(host: Host) -> None:
    """An interface may have any name without a slash, a colon and a blank."""
    odd = 'a"b\\c{}=,'
    host.ip("link", "add", odd, "type", "carp", "vhid", "1", "carpdev", "eth0")
    host.ip("link", "add", "n\u00fc", "type", "carp", "vhid", "2", "carpdev", "eth1")
    shown = metrics(host)["carp_vhost_info"].by("interface", "vhid", "carpdev")
    assert set(shown) == {(odd, "1", "eth0"), ("n\u00fc", "2", "eth1")}


@pytest.mark.usefixtures("carp")
def test_several_virtual_hosts_and_no_parent(host: Host) -> None:
    c.create_nodes(host, "1:0,2:100,7:30")
    host.ip("link", "add", "carp1", "type", "carp", "vhid", "9", "carpdev", "eth1")
    host.ip("link", "del", "eth1")
    shown = metrics(host)["carp_vhost_info"].by("interface", "vhid", "advskew", "carpdev")
    assert set(shown) == {
        ("carp0", "1", "0", "eth0"),
        ("carp0", "2", "100", "eth0"),
        ("carp0", "7", "30", "eth0"),
        ("carp1", "9", "0", "eth1"),
    }


@pytest.mark.usefixtures("pfsync")
def test_pfsync(world: World) -> None:
    pair = Pair(world)
    flow = Datagrams(pair.client, pair.server, SERVER, 5000)
    flow.exchange()
    pair.wait_same(proto=17)

    def confirmed() -> bool:
        return metrics(pair.a)["pfsync_unconfirmed"].by("interface") == {("pfsync0",): 0}

    wait_for(confirmed, 3, "b has all")
    found, info = metrics(pair.a), p.info(pair.a)
    assert found["pfsync_states"].by("interface") == {("pfsync0",): info["states"]}
    assert info["states"] >= 1
    assert found["pfsync_bulk_done"].by("interface") == {("pfsync0",): 1}
    assert found["pfsync_demotion"].by("interface") == {("pfsync0",): 0}
    words = found["pfsync_info"].by("interface", "syncdev", "syncpeer")
    assert set(words) == {("pfsync0", "eth2", "")}
    for name, value in info["stats"].items():
        if way := FRAMES.get(name):
            shown = found[f"pfsync_frames_{way[0]}_total"].by("family")[way[1:]]
        elif f"pfsync_{name}_total" in found:
            shown = found[f"pfsync_{name}_total"].by("interface")[("pfsync0",)]
        else:
            continue
        assert abs(shown - value) <= 1, name
    (peer,) = told(pair.a, "peers")["pfsync"]
    heard = found["pfsync_peer_last_heard_seconds"].by("peer")
    assert abs(heard[pair.b.address,] - peer["heard_ms"] / 1000) < 1
    assert found["pfsync_peer_info"].by("peer", "system") == {(pair.b.address, "linux"): 1}
    assert found["pfsync_peer_behind_frames"].by("peer") == {(pair.b.address,): 0}


@pytest.mark.usefixtures("carp")
def test_anybody_may_look(host: Host) -> None:
    c.create(host)
    command = ["setpriv", "--reuid=65534", "--clear-groups", "carpctl", "metrics"]
    assert "carp_vhost_state" in parse(host.run(*command).stdout)


def test_without_the_module(host: Host, tmp_path: Path) -> None:
    """There is nothing to tell, and the question loads nothing."""
    setting = Path("/proc/sys/kernel/modprobe")
    before = setting.read_text()
    script, log = tmp_path / "modprobe", tmp_path / "log"
    script.write_text(f'#!/bin/sh\necho "$@" >>{log}\nexit 1\n')
    script.chmod(0o755)
    setting.write_text(str(script))
    try:
        assert host.run("carpctl", "metrics").stdout == ""
    finally:
        setting.write_text(before)
    assert not log.exists()


@pytest.mark.usefixtures("carp")
@pytest.mark.figures
def test_many_virtual_hosts(host: Host, figure: Callable[[str, float, str], None]) -> None:
    """VLANS=16 in the environment makes it 4,080 virtual hosts, as in test_scale.py."""
    prepare(host, 2)
    every = [(vlan, vhid) for vlan in range(1, VLANS + 1) for vhid in range(1, VHIDS + 1)]
    create(host, every, 0)
    time.sleep(5)
    told = {}
    for what in ("metrics", "status"):
        start = time.monotonic()
        # into a file, for Python takes as long again to read from a pipe
        with host.inside(), open(f"/tmp/{what}", "w") as file:
            subprocess.run(("carpctl", what), stdout=file, check=True)
        taken = time.monotonic() - start
        told[what] = Path(f"/tmp/{what}").read_text()
        figure(f"{len(every)} virtual hosts: carpctl {what}", taken * 1e3, "ms")
        # to start a program takes its time, however few there are
        assert taken < 0.02 + 0.2 * len(every) / 4080
    page = told["metrics"]
    figure(f"{len(every)} virtual hosts: the page", len(page) / 1024, "KiB")
    assert told["status"].count("  MASTER  ") == len(every)
    states = parse(page)["carp_vhost_state"].by("interface", "state")
    assert sum(states[f"carp{vlan}_{vhid}", "master"] for vlan, vhid in every) == len(every)
