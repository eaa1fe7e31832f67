# SPDX-License-Identifier: GPL-2.0
"""carpctl maintenance: a host hands over and stays behind, also after a reboot."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib import carp as c
from lib import pfsync as p
from lib.clock import wait_for
from lib.gateway import Gateway
from lib.host import Host
from lib.lan import VIP, Lan
from lib.world import World
from test_pfsync_failover import Everything

pytestmark = pytest.mark.usefixtures("pfsync")

FILE = Path("/var/lib/carp/maintenance")


@pytest.fixture(autouse=True)
def begin_without() -> Iterator[None]:
    """The file belongs to the machine, and hosts of a test share it."""
    FILE.unlink(missing_ok=True)
    yield
    FILE.unlink(missing_ok=True)


@pytest.fixture
def pair(lan: Lan) -> Lan:
    """a is the better one, and takes back what it may."""
    c.create_pair(lan, preempt=True)
    return lan


def maintenance(host: Host, *words: str) -> str:
    return host.run("carpctl", "maintenance", *words).stdout


def causes(host: Host) -> dict[str, int]:
    groups = json.loads(host.run("carpctl", "status", "--json").stdout)["groups"]
    return {it["cause"]: it["amount"] for group in groups for it in group["causes"]}


def test_it_hands_over_and_takes_back(pair: Lan) -> None:
    """It returns when another host is master; nothing is lost meanwhile."""
    assert maintenance(pair.a) == "not in maintenance\ncarp0 vhid 1: MASTER\n"
    ping = pair.client.spawn("ping", "-n", "-i", "0.001", VIP)
    wait_for(lambda: "icmp_seq=100 " in ping.output(), 2, "it is answered")
    maintenance(pair.a, "on", "--reason", "new disks")
    assert c.state(pair.a) == "backup"
    c.wait_state(pair.b, "master")
    assert causes(pair.a) == {"maintenance": 200}
    shown = maintenance(pair.a).splitlines()
    assert shown[0].startswith("in maintenance since 20") and shown[0].endswith(": new disks")
    assert shown[1:] == ["carp0 vhid 1: BACKUP"]
    time.sleep(10)
    assert c.state(pair.a) == "backup"
    maintenance(pair.a, "off")
    c.wait_state(pair.a, "master")
    assert causes(pair.a) == {} and not FILE.exists()
    ping.signal(signal.SIGINT)
    told = ping.wait()
    assert " 0% packet loss" in told, told[-500:]


def test_connections_live(world: World) -> None:
    """Through two firewalls that are one, with translation, both ways and in both families."""
    gateway = Gateway(world)
    everything = Everything(gateway)
    everything.idle.speak()
    time.sleep(2)
    for words, master in ((("on",), gateway.b), (("off",), gateway.a)):
        everything.reset()
        maintenance(gateway.a, *words)
        gateway.wait_one(master)
        time.sleep(3)
        everything.check(0.5)
        everything.idle.speak()
        everything.ftp.noop()
    everything.stop()


def test_it_refuses_where_nobody_takes_over(pair: Lan) -> None:
    """And leaves everything as it was; --force begins it all the same."""
    pair.b.ip("link", "set", "carp0", "down")
    told = pair.a.run("carpctl", "maintenance", "on", "--wait", "2", check=False)
    assert told.returncode == 1
    assert "no other host has taken over carp0 vhid 1; maintenance did not begin" in told.stderr
    assert causes(pair.a) == {} and not FILE.exists()
    maintenance(pair.a, "on", "--wait", "1", "--force")
    assert causes(pair.a) == {"maintenance": 200} and FILE.exists()
    # once more, with another reason: it stays
    maintenance(pair.a, "on", "--wait", "1", "--reason", "disks")
    assert maintenance(pair.a).splitlines()[0].endswith(": disks")
    assert causes(pair.a) == {"maintenance": 200}
    # who is alone serves all the same, until another one comes
    assert c.state(pair.a) == "master"
    pair.b.ip("link", "set", "carp0", "up")
    c.wait_state(pair.b, "master")
    c.wait_state(pair.a, "backup")


def test_it_lasts_over_a_reboot(pair: Lan, tmp_path: Path) -> None:
    """netstart brings it back before the interfaces compete."""
    maintenance(pair.a, "on", "--reason", "firmware")
    pair.a.ip("link", "del", "carp0")
    words = f"vhid 1 carpdev eth0 pass {c.PASS} {VIP}/24\n"
    file = tmp_path / "hostname.carp0"
    file.touch(0o600)
    file.write_text(words)
    pair.a.run("carpctl", "netstart", "--etc", str(tmp_path))
    assert causes(pair.a) == {"maintenance": 200}
    time.sleep(10)
    assert c.state(pair.a) == "backup"
    maintenance(pair.a, "off")
    c.wait_state(pair.a, "master")


def test_connections_that_no_peer_has_are_waited_for(pair: Lan) -> None:
    """They would be lost: with pfsync, what is not confirmed keeps it from beginning."""
    p.create(pair.a)
    with p.Peer(pair.b) as peer:
        # one that is there, and confirms nothing
        peer.send(p.bulk_frame())
        insert = "-I -p udp -s 10.0.0.9 -d 192.0.2.9 --sport 1 --dport 2 -t 600"
        pair.a.run("conntrack", *insert.split())
        wait_for(lambda: p.info(pair.a)["unconfirmed"] != 0, 5, "pfsync tells of it")
        told = pair.a.run("carpctl", "maintenance", "on", "--wait", "1", check=False)
        unconfirmed = "states that no peer has confirmed; maintenance did not begin"
        assert told.returncode == 1 and unconfirmed in told.stderr, told
        assert c.state(pair.a) == "master"
        maintenance(pair.a, "on", "--wait", "5", "--force")
        assert c.state(pair.a) == "backup"


def test_mistakes(pair: Lan) -> None:
    assert "not in maintenance" in pair.a.refused("carpctl", "maintenance", "off")
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text("half a fi")
    assert str(FILE) in pair.a.refused("carpctl", "maintenance")
    pair.a.refused("carpctl", "maintenance", "perhaps")
