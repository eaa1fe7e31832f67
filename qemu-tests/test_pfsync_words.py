# SPDX-License-Identifier: GPL-2.0
"""What users ask of a pfsync interface, in ip(8)'s and ifconfig(8)'s words, and what
both show of it while a peer answers."""

from __future__ import annotations

import json

import pytest
from lib import conntrack
from lib import pfsync as p
from lib import pfsync_wire as w
from lib.host import Host
from lib.lan import Lan
from lib.pfsync_wire import Action, frame
from lib.process import CommandFailed
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

CREATOR = b"\xde\xad\xbe\xef"
UDP = ("192.0.2.1", 1024, "198.51.100.1", 53)

# what is shown although nobody has said anything of it
DEFAULTS = {
    "maxupd": 128,
    "defer": False,
    "local": False,
    "established": False,
    "bulkwait": 40,
    "auth": "off",
    "authactive": 0,
    "authkeys": [],
    "authwindow": 5,
    "authmonotonic": False,
    "table": "conntrack",
    "bulk": "down",
    "demote": 0,
    "states": 0,
    "queued": 0,
    "unconfirmed": 0,
}


@pytest.fixture
def host(world: World) -> Host:
    """A host with two Ethernet interfaces that are connected to nothing."""
    host = world.host("a")
    host.ip_batch(
        "link add eth0 arp on type dummy",
        "link add eth2 arp on type dummy",
        "link set eth0 up",
        "link set eth2 up",
        "addr add 172.16.1.1/30 dev eth2",
    )
    return host


def told(host: Host) -> dict[str, object]:
    """What ip tells of pfsync, without the counters."""
    data = p.info(host)
    del data["stats"]
    return data


def carpctl(host: Host, line: str) -> str:
    return host.run("carpctl", *line.split()).stdout


# -- ip


def test_bare(host: Host) -> None:
    p.create(host, syncdev=None, local=False)
    assert told(host) == DEFAULTS
    assert p.bulk(host) == "down", "without a syncdev there is nobody to ask"


def test_everything_and_back(host: Host) -> None:
    words = (
        "syncpeer 172.16.1.2 maxupd 7 defer local established bulkwait 90"
        " nosync-mark 0x10/0xf0 nosync-zone 5"
    )
    p.create(host, words, syncdev="eth2", up=False, local=False)
    assert told(host) == {
        **DEFAULTS,
        "syncdev": "eth2",
        "syncpeer": "172.16.1.2",
        "maxupd": 7,
        "defer": True,
        "local": True,
        "established": True,
        "bulkwait": 90,
        "nosync_mark": "0x10",
        "nosync_mask": "0xf0",
        "nosync_zone": 5,
    }
    for change, gone in (
        ("-syncpeer", "syncpeer"),
        ("-nosync-mark", "nosync_mark"),
        ("-nosync-zone", "nosync_zone"),
        ("-syncdev", "syncdev"),
    ):
        p.change(host, change)
        assert gone not in told(host), change
    p.change(host, "-maxupd defer off -local -established -bulkwait")
    assert told(host) == DEFAULTS
    p.change(host, "syncdev eth0 syncpeer fd00::2 defer on nosync-mark 5")
    shown = told(host)
    assert (shown["syncdev"], shown["syncpeer"], shown["defer"]) == ("eth0", "fd00::2", True)
    assert (shown["nosync_mark"], shown["nosync_mask"]) == ("0x5", "0xffffffff")


def test_as_text(host: Host) -> None:
    p.create(host, syncdev="eth2", up=False, local=False)
    shown = host.ip("-d", "link", "show", "pfsync0")
    line = "    pfsync syncdev eth2 maxupd 128 bulk down demote 0 states 0 queued 0 unconfirmed 0 "
    assert line in shown
    shown = host.ip("-d", "-s", "link", "show", "pfsync0")
    assert "      ipackets 0 ipackets6 0 skipped 0 \n" in shown
    assert len(p.stats(host)) == 44


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("maxupd 0", "maxupd must be 1-255"),
        ("syncdev lo", "leads to no other host"),
        ("syncdev pfsync0", "itself"),
        ("syncpeer 224.0.0.1", "unicast address"),
        ("table other", "chosen when the interface is made"),
        ("nosync-zone 0", "a number of 1-65535 is expected"),
    ],
)
def test_refused(host: Host, words: str, why: str) -> None:
    p.create(host, "maxupd 9", syncdev="eth2", up=False)
    before = told(host)
    with pytest.raises(CommandFailed, match=why):
        p.change(host, f"maxupd 10 {words}" if "maxupd" not in words else words)
    assert told(host) == before


def test_one_for_a_namespace(host: Host) -> None:
    p.create(host)
    with pytest.raises(CommandFailed, match="pfsync0 is there: one is enough"):
        host.ip("link", "add", "pfsync1", "type", "pfsync")
    host.ip("link", "del", "pfsync0")
    with pytest.raises(CommandFailed, match="the module pfsync_nonesuch is not there"):
        host.ip("link", "add", "pfsync1", "type", "pfsync", "table", "nonesuch")


# -- carpctl


def test_in_ifconfigs_words(host: Host) -> None:
    carpctl(host, "pfsync0 syncdev eth2 syncpeer 172.16.1.2 maxupd 7 defer up mtu 1400")
    shown = carpctl(host, "pfsync0").splitlines()
    assert shown[0].startswith("pfsync0: flags=") and shown[0].endswith("mtu 1400")
    assert "\tpfsync: syncdev: eth2 syncpeer: 172.16.1.2 maxupd: 7 defer: on" in shown
    assert shown[-1].startswith("\t\tbulk: asking demote: 32 ")
    assert carpctl(host, "") == carpctl(host, "pfsync0")
    for words in ("-syncpeer", "-defer", "maxupd 128", "down", "-syncdev"):
        carpctl(host, f"pfsync0 {words}")
    shown = carpctl(host, "pfsync0").splitlines()
    assert shown[-2:] == [
        "\tpfsync: syncdev: none maxupd: 128 defer: off",
        "\t\tbulk: down demote: 0 states: 0 queued: 0 unconfirmed: 0",
    ]
    for line, status, why in (
        ("pfsync0 vhid 1", 2, '"vhid" is a word for carp interfaces only.'),
        ("pfsync0 syncdev nope", 1, "syncdev nope: there is no such interface."),
        ("pfsync0 maxupd 0", 1, "maxupd must be 1-255."),
        ("pfsync0 create", 1, "pfsync0 is there already."),
        ("pfsync1 create", 1, "pfsync0 is there"),
    ):
        done = host.run("carpctl", *line.split(), check=False)
        assert done.returncode == status and why in done.stderr, f"{line}: {done}"
    carpctl(host, "pfsync0 destroy")
    assert carpctl(host, "") == ""


# -- with a peer


def test_while_a_peer_answers(lan: Lan) -> None:
    """How far it is, from the first request to the last state."""
    with p.Peer(lan.b) as peer:
        p.create(lan.a)
        assert peer.wait(Action.UPD_REQ).frame.all(Action.UPD_REQ) == [w.EVERYTHING]
        assert p.bulk(lan.a) == "asking"
        assert (
            carpctl(lan.a, "-g carp") == "carp: carp demote count 32\n\tpfsync-bulk 32 since 0 s\n"
        )
        peer.send(frame((Action.BUS, w.Bulk(CREATOR, w.Bulk.START))))
        p.wait_bulk(lan.a, "receiving", 1)
        state = w.State.of(
            UDP, creatorid=CREATOR, src=w.Peer(state=2), dst=w.Peer(state=2), state_flags=w.ACK
        )
        peer.send(frame((Action.INS, state)))
        assert peer.wait(Action.INS_ACK).frame.all(Action.INS_ACK) == [state.name]
        entry = conntrack.entry(lan.a, original=UDP)
        assert entry and entry["proto"] == 17
        assert conntrack.has(entry, "SEEN_REPLY", "CONFIRMED")
        peer.send(frame((Action.BUS, w.Bulk(CREATOR, w.Bulk.END))))
        p.wait_bulk(lan.a, "done", 1)
        assert carpctl(lan.a, "-g carp") == "carp: carp demote count 0\n"
        counters = p.counted(lan.a, peer.sends(frame((Action.DEL_C, state.name))))
        assert counters == {"ipackets": 1, "deleted": 1}
        assert conntrack.entry(lan.a, original=UDP) is None
    counters = json.loads(carpctl(lan.a, "stats --json pfsync0"))
    assert counters == p.stats(lan.a)
    assert (counters["inserted"], counters["bulk_received"], counters["sent_acks"]) == (1, 1, 1)
    assert "inserted 1\n" in carpctl(lan.a, "stats pfsync0")


def test_what_readme_says_of_rules(lan: Lan) -> None:
    """Frames pass the input chain, need no entry, and states outlive the rules."""
    rules = """
        table inet filter { chain input { type filter hook input priority 0; policy drop; }; }
        table inet raw { chain prerouting { type filter hook prerouting priority -300; }; }"""
    lan.a.run("nft", "-f", "-", input=rules)
    with p.Peer(lan.b) as peer:
        p.create(lan.a)
        peer.wait(Action.UPD_REQ)
        state = w.State.of(UDP, creatorid=CREATOR, src=w.Peer(state=2), dst=w.Peer(state=2))
        insert = frame((Action.INS, state))
        assert p.counted(lan.a, peer.sends(insert)) == {}
        allow = "add rule inet filter input iifname eth0 meta l4proto 240 accept"
        notrack = "add rule inet raw prerouting iifname eth0 meta l4proto 240 notrack"
        for rule in (allow, notrack):
            lan.a.run("nft", *rule.split())
        assert p.counted(lan.a, peer.sends(insert)) == {"ipackets": 1, "inserted": 1}
        lan.a.run("nft", "flush", "ruleset")
        assert conntrack.entry(lan.a, original=UDP)
        assert p.info(lan.a)["states"] >= 1
