# SPDX-License-Identifier: GPL-2.0
"""carpctl netstart: hostname.if(5) files, carried out, and left alone where all is so."""

from __future__ import annotations

import json
import os
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.lan import Lan
from lib.listeners import Listeners
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

CARP0 = "inet 10.0.0.1 255.255.255.0 vhid 1 pass secretpassword carpdev eth0 advskew 100\n"

NOTHING = ["Nothing would change."]


def configured(host: Host) -> list[object]:
    """What somebody set, without states, which change by themselves."""
    return [
        (
            shown["ifname"],
            shown["mtu"],
            "UP" in shown["flags"],
            shown.get("master"),
            [(info["local"], info["prefixlen"]) for info in shown["addr_info"]],
        )
        for shown in json.loads(host.ip("-j", "addr"))
    ]


class Etc:
    """A folder with a host's files."""

    def __init__(self, host: Host, path: Path) -> None:
        self.host = host
        self.path = path

    def write(self, name: str, text: str, mode: int = 0o600) -> None:
        path = self.path / name
        path.write_text(text)
        path.chmod(mode)

    def run(self, *words: str, check: bool = True) -> CompletedProcess[str]:
        command = ("carpctl", "netstart", "--etc", str(self.path), *words)
        return self.host.run(*command, check=check)

    def start(self, *words: str) -> None:
        done = self.run(*words)
        assert (done.stdout, done.stderr) == ("", "")

    def start_for_good(self) -> None:
        """A second run would find nothing to do."""
        self.start()
        assert self.would() == NOTHING

    def would(self, *words: str) -> list[str]:
        """What --check says; it must change nothing."""
        before = configured(self.host)
        told = self.run("--check", *words).stdout.splitlines()
        assert configured(self.host) == before, "--check changed something"
        return told

    def refused(self, status: int, *words: str) -> list[str]:
        """The lines of a refusal, without the folder; nothing must have changed."""
        before = configured(self.host)
        done = self.run(*words, check=False)
        assert done.returncode == status, done
        assert configured(self.host) == before
        return done.stderr.replace(f"{self.path}/", "").splitlines()


@pytest.fixture
def etc(host: Host, tmp_path: Path) -> Etc:
    return Etc(host, tmp_path)


def addresses(host: Host, name: str) -> list[str]:
    (shown,) = json.loads(host.ip("-j", "addr", "show", "dev", name))
    return [
        f"{info['local']}/{info['prefixlen']} {info.get('broadcast', '')}".strip()
        for info in shown["addr_info"]
        if info["scope"] != "link"
    ]


# -- the lines of the books


def test_the_lines_of_the_books(world: World, host: Host, etc: Etc, pfsync: None) -> None:
    host.ip("link", "add", "eth2", "arp", "on", "type", "dummy")
    etc.write("hostname.eth0", "inet 10.0.0.11 255.255.255.0 10.0.0.255\n")
    etc.write("hostname.eth1", "inet 192.168.100.11 255.255.255.0 NONE\n")
    etc.write("hostname.eth2", "inet 172.16.1.1 255.255.255.0 NONE\n")
    etc.write(
        "hostname.carp0",
        "inet 10.0.0.1 255.255.255.0 10.0.0.255 vhid 1 pass secretpassword"
        ' carpdev eth0 advskew 50 state MASTER description "OUTSIDE"\n',
    )
    etc.write(
        "hostname.carp1",
        "inet 192.168.100.1 255.255.255.0 192.168.100.255 vhid 2 pass anothersecretpassword"
        ' carpdev eth1 advskew 100 state BACKUP description "INSIDE"\n',
    )
    etc.write("hostname.pfsync0", "up syncdev eth2 syncpeer 172.16.1.2\n")
    done = etc.run()
    assert "hostname.carp1:1: the passphrase" in done.stderr
    assert addresses(host, "eth0") == ["10.0.0.2/24", "10.0.0.11/24 10.0.0.255"]
    assert addresses(host, "eth1") == ["192.168.100.11/24"]
    assert addresses(host, "carp0") == ["10.0.0.1/24 10.0.0.255"]
    assert c.state(host, "carp0") == "master"
    assert c.state(host, "carp1") == "backup"
    assert host.show("carp0")["ifalias"] == "OUTSIDE"
    assert "syncdev: eth2 syncpeer: 172.16.1.2" in host.run("carpctl", "pfsync0").stdout
    assert c.info(host, "carp1")["advskew"] == 100


def test_typed_in_steps_or_in_a_file(host: Host, etc: Etc) -> None:
    """What was typed is what a file with the same words wants."""
    host.run("carpctl", "carp0", *CARP0.split())
    etc.write("hostname.carp0", CARP0)
    assert etc.would() == ["carp0 would get pass ...."], "which the kernel does not show"
    etc.start_for_good()


# -- again


def test_a_second_run_changes_nothing(host: Host, etc: Etc) -> None:
    etc.write("hostname.eth0", "inet 10.0.0.2 255.255.255.0\ninet6 fd00::2 64\n")
    etc.write(
        "hostname.carp0",
        f"{CARP0}inet alias 10.0.0.7 255.255.255.255 NONE\ninet6 fd00::1 64\n"
        "state master group test description x peer 10.0.0.3\n",
    )
    etc.write("mygate", "10.0.0.254\nfd00::fe\n")
    etc.start()
    host.settle()
    c.wait_state(host, "master")
    listeners = Listeners(host)
    etc.start_for_good()
    assert listeners.heard() == ""


def test_a_second_run_moves_no_master(lan: Lan, tmp_path: Path) -> None:
    """Though the file of the one that is backup by now says "state master"."""
    for host in (lan.a, lan.b):
        folder = tmp_path / host.name
        folder.mkdir()
        etc = Etc(host, folder)
        etc.write("hostname.carp0", CARP0.replace("skew 100", "skew 100 state master"))
        etc.start()
    wait_for(
        lambda: sorted(c.state(host) for host in (lan.a, lan.b)) == ["backup", "master"],
        10,
        "one is master",
    )
    before = [c.state(host) for host in (lan.a, lan.b)]
    for host in (lan.a, lan.b):
        Etc(host, tmp_path / host.name).start()
    assert [c.state(host) for host in (lan.a, lan.b)] == before


def test_one_random_address_is_enough(host: Host, etc: Etc) -> None:
    etc.write("hostname.carp0", f"{CARP0}lladdr random\n")
    etc.start()
    before = host.show("carp0")["address"]
    assert before != "00:00:5e:00:01:01"
    etc.start()
    assert host.show("carp0")["address"] == before


def test_of_a_word_that_is_said_again_the_last_one_counts(host: Host, etc: Etc) -> None:
    """A second run does not do and undo it."""
    etc.write(
        "hostname.carp0",
        f"{CARP0}down mtu 1400 group a inet alias 10.0.0.7/24\n!true\n"
        "up mtu 1300 -group a inet alias 10.0.0.7/25\n",
    )
    etc.write("hostname.eth1", "inet 10.0.7.1/24\n!true\ndown\n")
    etc.start()
    host.settle()
    c.wait_state(host, "master")
    told = etc.would()
    assert told == ["sh would run: true", "sh would run: true"]
    listeners = Listeners(host)
    etc.start()
    assert listeners.heard() == ""
    assert host.show("carp0")["mtu"] == 1300


def test_what_a_file_no_longer_has_goes(host: Host, etc: Etc) -> None:
    etc.write(
        "hostname.carp0",
        f"{CARP0}advbase 3 inet alias 10.0.0.7/32 peer 10.0.0.3 group test description x\n",
    )
    etc.start()
    etc.write("hostname.carp0", "inet 10.0.0.1 255.255.255.0 vhid 1 carpdev eth0\n")
    assert etc.would() == [
        "carp0 would get advbase 1.",
        "carp0 would get advskew 0.",
        "carp0 would get -carppeer.",
        'carp0 would get pass "".',
        "carp0 would leave group test.",
        "carp0 would lose its description.",
        "carp0 would lose the address 10.0.0.7/32.",
    ]
    etc.start_for_good()
    assert addresses(host, "carp0") == ["10.0.0.1/24 10.0.0.255"]
    told = c.info(host)
    assert (told["advbase"], told["advskew"], told["groups"]) == (1, 0, ["carp"])
    assert "carppeer" not in told and "ifalias" not in host.show("carp0")


def test_a_phrase_is_set_when_it_matters(host: Host, etc: Etc) -> None:
    etc.write("hostname.carp0", CARP0)
    etc.start_for_good()
    assert etc.would("carp0") == ["carp0 would get pass ...."], "if it is named"
    etc.write("hostname.carp0", CARP0.replace("secret", "other"))
    assert etc.would() == ["carp0 would get pass ...."]
    etc.start_for_good()
    host.run("carpctl", "carp0", "pass", "typed")
    assert etc.would() == ["carp0 would get pass ...."]


def test_a_phrase_that_was_set_before_something_failed(host: Host, etc: Etc) -> None:
    """The kernel has it, so that of the file before is to be set again."""
    etc.write("hostname.carp0", CARP0)
    etc.start()
    no_address = "inet6 ff02::5 64"
    host.run("carpctl", "carp0", "pass", "typed", *no_address.split(), check=False)
    assert etc.would() == ["carp0 would get pass ...."]
    etc.start()
    etc.write("hostname.carp0", CARP0.replace("secret", "other") + no_address + "\n")
    assert etc.run(check=False).returncode == 3
    etc.write("hostname.carp0", CARP0)
    assert etc.would() == ["carp0 would get pass ...."]


# -- what files can hold


def test_everything_in_order(host: Host, etc: Etc) -> None:
    """A VLAN on a bond of two ports, in a bridge, with a carp interface on it."""
    etc.write("hostname.bond0", "trunkproto failover trunkport eth0 \\\n  trunkport eth1\nup\n")
    etc.write("hostname.vlan5", "vnetid 5 parent bond0 up\n")
    etc.write("hostname.br0", "add vlan5\ninet 10.0.5.2 255.255.255.0\n")
    etc.write("hostname.carp0", "vhid 1 carpdev br0\ninet 10.0.5.1\n")
    etc.write("hostname.eth0", "up\n")
    etc.write("hostname.eth1.orig", "frobnicate\n")
    assert "bond0 would be created." in etc.would()
    etc.start()
    assert host.show("bond0")["linkinfo"]["info_data"]["mode"] == "active-backup"
    assert host.show("eth0")["master"] == host.show("eth1")["master"] == "bond0"
    vlan = host.show("vlan5")
    assert (vlan["link"], vlan["linkinfo"]["info_data"]["id"]) == ("bond0", 5)
    assert vlan["master"] == "br0"
    assert addresses(host, "carp0") == ["10.0.5.1/24 10.0.5.255"]
    assert etc.would() == NOTHING


def test_commands_in_their_place(host: Host, etc: Etc) -> None:
    seen = etc.path / "seen"
    etc.write(
        "hostname.eth1",
        "# the inner network\n"
        'mtu 1400 description "Bob\'s uplink"\n'
        f"!ip -br addr show dev $if >{seen}; ip link show $if | grep -o 'mtu [0-9]*' >>{seen}\n"
        "inet 10.0.7.1 255.255.255.0\n"
        "!false\n",
    )
    told = etc.would()
    assert told[0] == "eth1 would get mtu 1400."
    assert told[2].startswith("sh would run: ip -br addr")
    assert not seen.exists()
    done = etc.run(check=False)
    assert done.returncode == 3
    assert done.stderr.endswith("hostname.eth1:5: the command failed with exit status: 1.\n")
    assert "mtu 1400" in seen.read_text() and "10.0.7.1" not in seen.read_text()
    assert addresses(host, "eth1") == ["10.0.7.1/24 10.0.7.255"], "it went on"
    assert host.show("eth1")["ifalias"] == "Bob's uplink"


def test_down_stays_down(host: Host, etc: Etc) -> None:
    """Though an address is added, which otherwise brings an interface up."""
    host.ip("link", "set", "eth1", "down")
    etc.write("hostname.eth1", "inet 10.0.7.1/24 down\n")
    listeners = Listeners(host)
    etc.start()
    assert addresses(host, "eth1") == ["10.0.7.1/24 10.0.7.255"]
    assert "UP" not in listeners.heard()
    assert etc.would() == NOTHING


def test_point_to_point(host: Host, etc: Etc) -> None:
    etc.write("hostname.eth1", "inet 10.0.8.1 255.255.255.255 NONE\ndest 10.0.8.2\n")
    etc.start()
    assert "inet 10.0.8.1 peer 10.0.8.2/32" in host.ip("addr", "show", "dev", "eth1")
    assert etc.would() == NOTHING
    etc.write("hostname.eth1", "inet 10.0.8.1 255.255.255.255 NONE\ndest 10.0.8.3\n")
    etc.start()
    assert "inet 10.0.8.1 peer 10.0.8.3/32" in host.ip("addr", "show", "dev", "eth1")
    etc.write("hostname.eth1", "up\n")
    etc.start()
    assert addresses(host, "eth1") == []


def test_addresses_that_others_give(host: Host, etc: Etc) -> None:
    """Only those go that a file gave, also when others went and came back on the way."""
    others = ("10.0.9.1/24", "10.0.9.2/24", "fd09::1/64")
    for address in others:
        host.ip("addr", "add", address, "dev", "eth1", "nodad")
    etc.write(
        "hostname.eth1",
        "dhcp\ninet6 autoconf\ninet 10.0.8.1/24\ninet 10.0.8.2/24\ninet 10.0.9.3/24\n"
        "inet6 fd08::1 64\n",
    )
    done = etc.run()
    assert "hostname.eth1:1: DHCP is not carpctl's to do" in done.stderr
    assert host.ip("addr", "show", "dev", "eth1").count("proto 0x70") == 4
    assert host.sysctl("net.ipv6.conf.eth1.accept_ra") == "1"
    etc.write("hostname.eth1", "inet 10.0.8.2/24\nup\n")
    gone = ("10.0.8.1/24", "10.0.9.3/24", "fd08::1/64")
    assert etc.would() == [f"eth1 would lose the address {address}." for address in gone]
    etc.start()
    etc.write("hostname.eth1", "up\n")
    assert etc.would() == ["eth1 would lose the address 10.0.8.2/24."]
    etc.start()
    assert addresses(host, "eth1") == list(others)


def test_gateways(host: Host, etc: Etc) -> None:
    etc.write("hostname.eth0", "inet 10.0.0.2/24\ninet6 fd00::2 64\n")
    etc.write("mygate", "10.0.0.254\nfd00::fe # IPv6\n")
    etc.start("eth0")
    assert host.ip("route", "show", "default") == "", "not with the name of an interface"
    host.settle()
    etc.start()
    assert "via 10.0.0.254 dev eth0" in host.ip("route", "show", "default")
    assert "via fd00::fe dev eth0" in host.ip("-6", "route", "show", "default")
    assert etc.would() == NOTHING


def test_what_is_told_before_anything_is_there(host: Host, etc: Etc) -> None:
    """--check knows what the other files will have done by then."""
    etc.write("hostname.vlan5", "vnetid 5 parent eth0\ninet 10.0.5.2 255.255.255.0\n")
    etc.write("hostname.carp0", "vhid 1 carpdev vlan5 10.0.5.1\n-inet6\n")
    etc.write("hostname.carp1", "vhid 2 carpdev eth8 10.0.5.7\n")
    etc.write("hostname.eth9", "up\n")
    assert etc.would() == [
        "eth9 could not be started: there is no such interface.",
        "vlan5 would be created.",
        "vlan5 would get the address 10.0.5.2/24.",
        "vlan5 would be set up.",
        "carp0 would be created.",
        "carp0 would get vhid 1.",
        "carp0 would get carpdev vlan5.",
        "carp0 would get the address 10.0.5.1/24.",
        "carp0 would be set up.",
        "carp1 could not be started: there is no interface eth8.",
    ]


def test_what_is_to_go_and_is_not_there(host: Host, etc: Etc) -> None:
    """A bridge lets go only its own ports; a new interface has nothing that could go."""
    etc.write("hostname.br0", "add eth0\ndel eth1\n")
    etc.write("hostname.br1", "add eth1\n")
    etc.write("hostname.carp0", "vhid 1 10.0.0.1/24 -group x\ninet -alias 10.0.0.9\n")
    etc.start_for_good()
    host.run("carpctl", "br0", "del", "eth1")
    assert host.show("eth1")["master"] == "br1"
    host.run("carpctl", "br1", "del", "eth1")
    assert "master" not in host.show("eth1")


def test_check_tells_all_that_is_wrong(host: Host, etc: Etc) -> None:
    """And which file it is about; what two steps of a file do is told once."""
    host.ip("link", "add", "vlan5", "link", "eth0", "type", "vlan", "id", "6")
    etc.write("hostname.vlan5", "vnetid 5 parent eth0 up\n")
    etc.write("hostname.br0", "add eth1\ninet 10.0.7.1/24\n!true\ninet alias 10.0.7.2/24\n")
    told = etc.run("--check", check=False)
    assert told.stdout.splitlines() == [
        "br0 would be created.",
        "br0 would have the port eth1.",
        "br0 would get the address 10.0.7.1/24.",
        "br0 would be set up.",
        "sh would run: true",
        "br0 would get the address 10.0.7.2/24.",
    ]
    assert told.returncode == 1
    assert told.stderr.startswith(f"carpctl: {etc.path}/hostname.vlan5: vlan5 was made with")


# -- refused


def test_all_mistakes_are_told_and_nothing_is_done(host: Host, etc: Etc) -> None:
    etc.write("hostname.eth1", "inet 10.0.7.1 255.255.255.0\nvhid 1\n")
    etc.write("hostname.carp0", f'# outer\n\n{CARP0}vhid1\ndescription "open\n')
    assert etc.refused(2) == [
        'carpctl: hostname.carp0:4: there is no word "vhid1": did you mean vhid 1?',
        "carpctl: hostname.carp0:5: a quotation mark is not closed.",
        'carpctl: hostname.eth1:2: "vhid" is a word for carp interfaces only.',
    ]
    etc.write("hostname.carp0", CARP0)
    etc.write("hostname.eth1", "up\n")
    etc.write("mygate", "router\n")
    assert etc.refused(2) == ['carpctl: mygate:1: "router" is not an address of a gateway.']


def test_at_boot_a_mistake_keeps_only_down_what_is_shared(host: Host, etc: Etc) -> None:
    """Who comes to mend it needs an address, and half a firewall must not take over."""
    etc.write("hostname.carp0", CARP0)
    etc.write("hostname.eth1", "inet 10.0.7.1 255.255.255.0\n")
    etc.write("hostname.carp1", "vhid 2 carpdev eth1 advskew many\n")
    done = etc.run("--boot", check=False)
    assert done.returncode == 2
    told = done.stderr.replace(f"{etc.path}/", "").splitlines()
    assert told[0].startswith("carpctl: hostname.carp1:1: ")
    assert told[-1] == "carpctl: so no carp and no pfsync interface was started."
    assert "10.0.7.1/24" in host.ip("address", "show", "eth1")
    assert not host.ip("link", "show", "type", "carp")
    etc.write("hostname.carp1", "vhid 2 carpdev eth1 advskew 5 10.0.7.3/24\n")
    (etc.path / "mygate").write_text("router\n")
    assert etc.run("--boot", check=False).returncode == 2
    assert not host.ip("link", "show", "type", "carp")
    (etc.path / "mygate").unlink()
    etc.run("--boot")
    c.wait_state(host, "master", name="carp1")
    refused = etc.run("--boot", "--check", check=False)
    assert refused.returncode == 2 and "cannot be used with" in refused.stderr


def test_a_phrase_that_others_can_read(host: Host, etc: Etc) -> None:
    etc.write("hostname.carp0", CARP0, mode=0o640)
    (told,) = etc.refused(1)
    assert told.startswith("carpctl: hostname.carp0: it holds a passphrase")
    etc.write("hostname.carp0", CARP0)
    os.chown(etc.path / "hostname.carp0", 1000, 0)
    assert len(etc.refused(1)) == 1
    etc.write("hostname.carp1", "vhid 2 carpdev eth1\n", mode=0o644)
    etc.start("carp1")


def test_an_interface_that_is_not_there(host: Host, etc: Etc) -> None:
    """The others are started all the same."""
    etc.write("hostname.eth7", "inet 10.0.7.1 255.255.255.0\n")
    etc.write("hostname.carp0", "vhid 1 carpdev eth8 10.0.7.3/24\n")
    etc.write("hostname.carp1", CARP0)
    done = etc.run(check=False)
    assert done.returncode == 3
    assert done.stderr.replace(f"{etc.path}/", "").splitlines() == [
        "carpctl: hostname.eth7: eth7: there is no such interface.",
        "carpctl: hostname.carp0: carpdev eth8: there is no such interface.",
    ]
    assert addresses(host, "carp1") == ["10.0.0.1/24 10.0.0.255"]
    (told,) = etc.refused(1, "eth9")
    assert told == "carpctl: cannot read hostname.eth9: No such file or directory."


def test_a_command_that_others_can_write(host: Host, etc: Etc) -> None:
    """Root would run it."""
    etc.write("hostname.eth1", f"up\n!touch {etc.path}/ran\n", mode=0o664)
    (told,) = etc.refused(1)
    assert told.startswith("carpctl: hostname.eth1: it holds a command, which root runs")
    etc.write("hostname.eth1", "up\n!true\n", mode=0o644)
    os.chown(etc.path / "hostname.eth1", 1000, 0)
    assert len(etc.refused(1)) == 1
    os.chown(etc.path / "hostname.eth1", 0, 0)
    etc.start()
    assert not (etc.path / "ran").exists()
