# SPDX-License-Identifier: GPL-2.0
"""carpctl: the words of OpenBSD's and FreeBSD's ifconfig(8), typed as they stand in books."""

from __future__ import annotations

import json
import shlex

import pytest
from lib import carp as c
from lib.host import Host
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")


def carpctl(host: Host, line: str) -> str:
    """Types a line as a shell takes it; returns what was printed."""
    done = host.run("carpctl", *shlex.split(line))
    assert done.stderr == "", line
    return done.stdout


def warned(host: Host, line: str) -> str:
    return host.run("carpctl", *shlex.split(line)).stderr.strip()


def refused(host: Host, line: str, status: int = 2) -> str:
    before = host.ip("-d", "-j", "addr")
    done = host.run("carpctl", *shlex.split(line), check=False)
    assert done.returncode == status, f"{line}: {done}"
    assert host.ip("-d", "-j", "addr") == before, f"{line} was refused and changed something"
    return done.stderr.strip()


def addresses(host: Host, name: str = "carp0") -> list[str]:
    """ADDRESS/LENGTH or ADDRESS/LENGTH BROADCAST, without link-local ones."""
    (shown,) = json.loads(host.ip("-j", "addr", "show", "dev", name))
    return [
        f"{info['local']}/{info['prefixlen']} {info.get('broadcast', '')}".strip()
        for info in shown["addr_info"]
        if info["scope"] != "link"
    ]


# -- OpenBSD's


def test_typed_step_by_step(host: Host) -> None:
    carpctl(host, "carp0 create")
    carpctl(host, "carp0 vhid 1 pass secretpassword carpdev eth0 advskew 100 10.0.0.1")
    c.wait_state(host, "master")
    assert addresses(host) == ["10.0.0.1/24 10.0.0.255"], "the length of carpdev's subnet"
    assert c.info(host)["advskew"] == 100
    carpctl(host, "carp0 group test")
    assert carpctl(host, "-g test") == "test: carp demote count 0\n"
    carpctl(host, "-g test carpdemote 50")
    assert carpctl(host, "-g test") == "test: carp demote count 50\n\tmanual 50 since 0 s\n"
    carpctl(host, "carp0 advskew 254")
    assert c.info(host)["advskew"] == 254
    carpctl(host, "carp0 down")
    assert c.state(host) == "init"


def test_the_line_of_a_file(host: Host) -> None:
    carpctl(
        host,
        "carp0 inet 10.0.0.1 255.255.255.0 vhid 1 pass secretpassword carpdev eth0 advskew 100",
    )
    assert addresses(host) == ["10.0.0.1/24 10.0.0.255"]
    capture = host.capture("eth0", "proto 112")
    c.wait_state(host, "master")
    first = c.heard(capture.packets())[0]
    expected = c.Advertisement(counter=first.data[42:50], advskew=100, password="secretpassword")
    assert first.data[34:70] == expected.payload()


def test_state_and_description(host: Host) -> None:
    """Both hosts' lines: one is master at once, the other backup, each with its alias."""
    carpctl(
        host,
        "carp0 inet 10.0.0.1 255.255.255.0 10.0.0.255 vhid 1 pass secretpassword"
        ' carpdev eth0 advskew 50 state MASTER description "OUTSIDE"',
    )
    assert c.state(host) == "master", "at once"
    assert addresses(host) == ["10.0.0.1/24 10.0.0.255"]
    told = warned(
        host,
        "carp1 inet 192.168.100.1 255.255.255.0 192.168.100.255 vhid 2 pass anothersecretpassword"
        ' carpdev eth1 advskew 100 state BACKUP description "INSIDE"',
    )
    assert told == (
        'carpctl: warning: the passphrase of "pass" is longer than 19 bytes: only the first'
        " 19 count, as on OpenBSD and FreeBSD."
    )
    assert addresses(host, "carp1") == ["192.168.100.1/24 192.168.100.255"]
    assert host.show("carp0")["ifalias"] == "OUTSIDE"
    assert host.show("carp1")["ifalias"] == "INSIDE"
    assert "\tdescription: INSIDE\n" in carpctl(host, "carp1")
    carpctl(host, "carp1 -description")
    assert "ifalias" not in host.show("carp1")


def test_the_phrase_that_was_cut(host: Host) -> None:
    warned(host, "carp0 vhid 1 pass anothersecretpassword carpdev eth0 10.0.0.1")
    capture = host.capture("eth0", "proto 112")
    c.wait_state(host, "master")
    first = c.heard(capture.packets())[0]
    expected = c.Advertisement(counter=first.data[42:50], password="anothersecretpassword"[:19])
    assert first.data[34:70] == expected.payload()


def test_a_state_that_cannot_be(host: Host) -> None:
    """Without a link the interface is made all the same, and the user is told."""
    told = warned(host, "carp0 vhid 1 192.0.2.1/24 state master")
    assert told == "carpctl: warning: carp0: it is INIT as yet, and does not become MASTER."
    carpctl(host, "carp0 down")
    told = refused(host, "carp0 state master", status=1)
    assert told == "carpctl: carp0: state can be set once the interface is up."


def test_pfsync(world: World, host: Host, pfsync: None) -> None:
    carpctl(host, "pfsync0 create")
    carpctl(host, "pfsync0 syncdev eth0")
    carpctl(host, "pfsync0 up syncdev eth1 syncpeer 172.16.1.2")
    assert "syncdev: eth1 syncpeer: 172.16.1.2" in carpctl(host, "pfsync0")
    assert carpctl(host, "pfsync") == carpctl(host, "pfsync0")


# -- addresses


def test_a_length_that_is_not_said(host: Host) -> None:
    for words, expected in (
        ("carpdev eth0 10.0.0.1", "10.0.0.1/24 10.0.0.255"),
        ("10.0.0.1", "10.0.0.1/24 10.0.0.255"),
        ("carpdev eth1 10.0.0.1", "10.0.0.1/32"),
        ("carpdev eth0 192.0.2.1", "192.0.2.1/32"),
        ("carpdev eth0 inet6 2001:db8::1", "2001:db8::1/128"),
        ("carpdev eth0 10.0.0.1 broadcast NONE", "10.0.0.1/24"),
        ("carpdev eth0 inet 10.0.0.1 255.255.255.0 NONE", "10.0.0.1/24"),
        ("carpdev eth0 inet 10.0.0.1 0xffffff00 10.0.0.7", "10.0.0.1/24 10.0.0.7"),
    ):
        carpctl(host, f"carp0 vhid 1 {words}")
        assert addresses(host) == [expected], words
        carpctl(host, "carp0 destroy")


def test_what_an_address_has_is_changed(host: Host) -> None:
    carpctl(host, "carp0 vhid 1 carpdev eth0 10.0.0.1/24 alias 10.0.0.7/24")
    carpctl(host, "carp0 inet alias 10.0.0.7 255.255.255.255")
    assert addresses(host) == ["10.0.0.1/24 10.0.0.255", "10.0.0.7/32"]
    carpctl(host, "carp0 10.0.0.1/24 broadcast NONE")
    assert sorted(addresses(host)) == ["10.0.0.1/24", "10.0.0.7/32"]


def test_a_physical_interface(host: Host) -> None:
    carpctl(host, "eth1 inet 10.0.7.11 255.255.255.0 10.0.7.255 mtu 1400 description lan up")
    assert "10.0.7.11/24 10.0.7.255" in addresses(host, "eth1")
    shown = host.show("eth1")
    assert (shown["mtu"], shown["ifalias"]) == (1400, "lan")
    assert "\tinet 10.0.7.11 netmask 0xffffff00 broadcast 10.0.7.255\n" in carpctl(host, "eth1")
    told = refused(host, "eth1 inet 10.0.7.12 255.255.255.0 vhid 1")
    assert told == 'carpctl: "vhid" is a word for carp interfaces only.'


def test_virtual_devices(host: Host) -> None:
    carpctl(host, "vlan5 vnetid 5 parent eth0 inet 10.0.5.1 255.255.255.0")
    assert addresses(host, "vlan5") == ["10.0.5.1/24 10.0.5.255"]
    carpctl(host, "bond0 create trunkproto lacp trunkport eth1 up")
    assert host.show("bond0")["linkinfo"]["info_data"]["mode"] == "802.3ad"
    carpctl(host, "bond0 -trunkport eth1")
    assert "master" not in host.show("eth1")
    told = refused(host, "vlan5 vnetid 6", status=1)
    assert told.startswith("carpctl: vlan5 was made with another vnetid, parent or trunkproto")
    carpctl(host, "vlan5 destroy")
    carpctl(host, "bond0 destroy")
    assert refused(host, "vlan5", status=1) == "carpctl: vlan5: there is no such interface."


# -- FreeBSD's


def test_unicast(host: Host) -> None:
    carpctl(host, "carp0 vhid 1 carpdev eth0 10.0.0.1/24 peer 10.0.0.3")
    assert c.info(host)["carppeer"] == ["10.0.0.3"]
    carpctl(host, "carp0 peer6 fd00::3")
    assert sorted(c.info(host)["carppeer"]) == ["10.0.0.3", "fd00::3"]
    carpctl(host, "carp0 peer 10.0.0.4")
    assert sorted(c.info(host)["carppeer"]) == ["10.0.0.4", "fd00::3"]
    carpctl(host, "carp0 mcast")
    assert c.info(host)["carppeer"] == ["fd00::3"]
    carpctl(host, "carp0 mcast6")
    assert "carppeer" not in c.info(host)


# -- shown


def test_all_of_a_kind(host: Host) -> None:
    assert carpctl(host, "-a") == carpctl(host, "carp") == ""
    carpctl(host, "carp0 vhid 1 carpdev eth0 10.0.0.1")
    carpctl(host, "carp1 vhid 2 carpdev eth1 -group carp")
    both = carpctl(host, "carp0") + carpctl(host, "carp1")
    for line in ("-a", "-A", "carp"):
        assert carpctl(host, line) == both, line
    assert carpctl(host, "pfsync") == ""


# -- mistyped


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("carp0 vhid1", 'there is no word "vhid1": did you mean vhid 1?'),
        ("carp0 advskw 100 10.0.0.9", 'there is no word "advskw": did you mean advskew?'),
        (
            "carp0 inet 10.0.0.9 10.0.0.255 advskew 7",
            '"10.0.0.255" is not a netmask: one as 255.255.255.0 is expected.',
        ),
        ("carp0 syncdev eth1", '"syncdev" is a word for pfsync interfaces only.'),
        ("-a carp0", "-a and -A stand alone."),
    ],
)
def test_what_was_meant(host: Host, line: str, sentence: str) -> None:
    carpctl(host, "carp0 vhid 1 carpdev eth0 advbase 60 10.0.0.1")
    assert refused(host, line) == f"carpctl: {sentence}"
