# SPDX-License-Identifier: GPL-2.0
"""Stanzas of interfaces(5) with lines for carp and pfsync, carried out by Debian's ifupdown
and by ifupdown-ng."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from lib import carp as c
from lib.host import Host
from lib.lan import Lan
from lib.listeners import Listeners
from lib.modules import rmmod

pytestmark = [pytest.mark.usefixtures("carp"), pytest.mark.programs]

ETH0 = """
auto eth0
iface eth0 inet static
    address 10.0.0.2/24
"""

# as in docs/hostname.if.5
CARP0 = """
auto carp0
iface carp0 inet static
    address 10.0.0.1/24
    carp-vhid 1
    carp-carpdev eth0
    carp-advskew 100
    carp-passfile /etc/carp.pass

auto pfsync0
iface pfsync0 inet manual
    pfsync-syncdev eth2
    pfsync-syncpeer 172.16.1.2
"""

STANZA = """
auto carp0
iface carp0 inet static
    address 10.0.0.1/24
    carp-vhid 1
    carp-carpdev eth0
"""

# Each host has files of its own.
SETUP = """
mount --bind "$0/run" /run
mount --bind "$0/interfaces" /etc/network/interfaces
touch /etc/carp.pass
mount --bind "$0/carp.pass" /etc/carp.pass
exec "$@"
"""


class Ifupdown:
    """The programs on a host, which has a file for them."""

    def __init__(self, host: Host, folder: Path, suffix: str) -> None:
        self.host = host
        self.folder = folder
        self.suffix = suffix
        (folder / "run/network").mkdir(parents=True)
        (folder / "carp.pass").write_text(f"{c.PASS}\n")
        (folder / "carp.pass").chmod(0o600)

    def write(self, *stanzas: str) -> None:
        (self.folder / "interfaces").write_text("".join(stanzas))

    def run(self, *command: str, check: bool = True) -> CompletedProcess[str]:
        words = ("sh", "-euc", SETUP, str(self.folder), *command)
        return self.host.run_with_sysfs(*words, check=check)

    def ifup(self, *words: str) -> None:
        done = self.run(f"ifup{self.suffix}", *words)
        assert done.stderr == ""

    def ifdown(self, *words: str) -> None:
        done = self.run(f"ifdown{self.suffix}", *words)
        assert done.stderr == ""

    def left(self) -> list[str]:
        """The carp and pfsync interfaces that are there, and what is remembered of them."""
        shown = [
            interface["ifname"]
            for kind in ("carp", "pfsync")
            for interface in self.host.ip_json("link", "show", "type", kind)
            if interface
        ]
        return shown + [path.name for path in (self.folder / "run").glob("carp*")]

    def refused(self) -> str:
        """What is said of carp0, or pfsync0, when it cannot be; nothing of it is left."""
        done = self.run(f"ifup{self.suffix}", "-a", check=False)
        assert done.returncode
        assert self.left() == []
        # both executors of ifupdown-ng may say it
        said = {
            line
            for line in done.stderr.splitlines()
            if not line.startswith(("ifup:", "run-parts:"))
        }
        (sentence,) = said
        assert re.match("(carp|pfsync)0: ", sentence)
        return sentence.partition(": ")[2]


Make = Callable[[Host], Ifupdown]


@pytest.fixture(params=["", "-ng"], ids=["ifupdown", "ifupdown-ng"])
def on(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    return lambda host: Ifupdown(host, tmp_path / host.name, request.param)


@pytest.fixture
def it(host: Host, on: Make) -> Ifupdown:
    """On a host whose eth0 ifup sets up, with a third interface for pfsync."""
    host.ip_batch(
        "addr flush dev eth0",
        "link set eth0 down",
        "link add eth2 arp on type dummy",
        "link set eth2 up",
        "addr add 172.16.1.1/24 dev eth2",
    )
    return on(host)


def addresses(host: Host, name: str = "carp0") -> list[str]:
    (shown,) = host.ip_json("addr", "show", "dev", name)
    return [f"{info['local']}/{info['prefixlen']}" for info in shown["addr_info"]]


def metrics(host: Host) -> list[int | None]:
    """Those of the connected routes of carp0, IPv4 and IPv6."""
    routes = host.ip_json("-4", "route", "show", "dev", "carp0")
    routes += host.ip_json("-6", "route", "show", "dev", "carp0")
    return [route.get("metric") for route in routes if route["dst"] != "fe80::/64"]


# -- up, again, and down


def test_the_stanzas_of_the_manual(it: Ifupdown, pfsync: None) -> None:
    host = it.host
    it.write(ETH0, CARP0)
    it.ifup("-a")
    c.wait_state(host, "master")
    told = c.info(host)
    assert (told["vhid"], told["carpdev"], told["advskew"]) == (1, "eth0", 100)
    assert addresses(host) == ["10.0.0.1/24"]
    assert metrics(host) == [4096]
    assert "syncdev: eth2 syncpeer: 172.16.1.2" in host.run("carpctl", "pfsync0").stdout
    assert "UP" in host.show("pfsync0")["flags"]

    host.settle()
    listeners = Listeners(host)
    it.ifup("-a")
    assert listeners.heard() == ""

    it.ifdown("-a")
    assert it.left() == []
    it.ifup("-a")
    c.wait_state(host, "master")
    assert metrics(host) == [4096]


def test_a_handover_and_the_way_back(lan: Lan, on: Make) -> None:
    a, b = on(lan.a), on(lan.b)
    for it, skew in ((a, 0), (b, 100)):
        it.write(f"{STANZA}    carp-advskew {skew}\n    carp-pass {c.PASS}\n")
        it.ifup("-a")
    c.wait_state(lan.a, "master")
    c.wait_state(lan.b, "backup")
    capture = lan.b.capture(only="proto 112")
    monitor = lan.a.spawn("ip", "monitor", "link", "address", "dev", "carp0")
    a.ifdown("-a")
    c.wait_state(lan.b, "master", timeout=0.5)
    assert any(advertisement.is_bow_out for advertisement in c.heard(capture.packets()))
    changes = monitor.stop()
    assert changes.index("state DOWN") < changes.index("Deleted"), "with all its addresses"
    a.ifup("-a")
    for it in (a, b):
        it.ifup("-a")
    c.wait_state(lan.a, "backup")
    assert c.state(lan.b) == "master"


def test_several_addresses_and_families(it: Ifupdown) -> None:
    """The first stanza has the lines, the last one that goes takes the interface away."""
    it.write(
        ETH0,
        STANZA.replace("10.0.0.1/24", "10.0.0.1\n    netmask 255.255.255.0"),
        "iface carp0 inet6 static\n    address fd00:0::1/64\n",
    )
    for _ in range(2):
        it.ifup("-a")
        assert addresses(it.host) == ["10.0.0.1/24", "fd00::1/64"]
        c.wait_state(it.host, "master")
        assert metrics(it.host) == [4096, 4096]
        it.ifdown("-a")
        assert it.left() == []


def test_only_ipv6(it: Ifupdown) -> None:
    it.write(
        ETH0, STANZA.replace("inet static", "inet6 static").replace("10.0.0.1/24", "fd00::1/64")
    )
    it.ifup("-a")
    c.wait_state(it.host, "master")
    assert (addresses(it.host), metrics(it.host)) == (["fd00::1/64"], [4096])
    it.ifdown("-a")
    assert it.left() == []


def test_an_address_of_an_up_line(it: Ifupdown) -> None:
    """Nobody takes it away again; it must not keep the interface."""
    it.write(ETH0, STANZA, "    up ip addr add fd00::1/64 dev carp0\n")
    it.ifup("-a")
    assert addresses(it.host) == ["10.0.0.1/24", "fd00::1/64"]
    it.ifdown("-a")
    assert it.left() == []


def test_one_that_was_made_by_hand(it: Ifupdown) -> None:
    """It gets what the stanza says, and is only set down."""
    it.host.ip("link", "add", "carp0", "type", "carp", "advskew", "7")
    it.write(ETH0, STANZA)
    it.ifup("-a")
    c.wait_state(it.host, "master")
    assert c.info(it.host)["advskew"] == 7
    it.ifdown("-a")
    assert it.left() == ["carp0"]
    assert "UP" not in it.host.show("carp0")["flags"]


def test_the_parent_of_another_tool_stays_up(it: Ifupdown) -> None:
    it.host.ip_batch("link set eth0 up", "addr add 10.0.0.2/24 dev eth0")
    it.write(STANZA)
    it.ifup("carp0")
    it.ifdown("carp0")
    assert it.left() == []
    assert "UP" in it.host.show("eth0")["flags"]


@pytest.mark.parametrize("on", ["-ng"], indirect=True)
def test_ifupdown_ng_knows_what_comes_first(it: Ifupdown) -> None:
    """The order of the file matters to ifupdown alone."""
    it.write(STANZA, ETH0)
    it.ifup("-a")
    c.wait_state(it.host, "master")
    capture = it.host.capture(None, only="proto 112")
    it.ifdown("-a")
    assert c.heard(capture.packets())[-1].is_bow_out


# -- options


def test_all_options_of_carp(it: Ifupdown) -> None:
    it.write(
        ETH0,
        STANZA.replace("    carp-vhid 1\n", ""),
        "    carp-carpnodes 1:0,2:100\n"
        "    carp-balancing ip-stealth\n"
        "    carp-advbase 3\n"
        "    carp-carppeer 10.0.0.2,10.0.0.3\n"
        "    carp-minttl 250\n"
        "    carp-announce 9\n"
        "    carp-group a b\n"
        "    carp-linklocal yes\n"
        "    carp-demoteskew no\n",
    )
    it.ifup("-a")
    shown = it.host.ip("-d", "link", "show", "carp0")
    for words in (
        "vhid 2 advskew 100", "balancing ip-stealth", "advbase 3", "carppeer 10.0.0.2,10.0.0.3",
        "minttl 250", "announce 9", "groups carp,a,b", " linklocal", "-demoteskew",
    ):  # fmt: skip
        assert words in shown


def test_authentication(it: Ifupdown) -> None:
    for name in ("key1", "key2"):
        (it.folder / name).write_text(name * 8)
        (it.folder / name).chmod(0o600)
    keys = f"1 {it.folder}/key1 2 {it.folder}/key2"
    it.write(
        ETH0,
        STANZA,
        f"    carp-authkey {keys}\n"
        "    carp-authactive 2\n"
        "    carp-auth enforce\n"
        "    carp-authwindow 60\n"
        "    carp-authmonotonic yes\n",
    )
    it.ifup("-a")
    shown = it.host.ip("-d", "link", "show", "carp0")
    assert "auth enforce authactive 2 authkeys 1,2 authwindow 60 authmonotonic" in shown


def test_all_options_of_pfsync(it: Ifupdown, pfsync: None) -> None:
    it.write(
        "auto pfsync0\n"
        "iface pfsync0 inet manual\n"
        "    pfsync-syncdev eth2\n"
        "    pfsync-maxupd 7\n"
        "    pfsync-defer yes\n"
        "    pfsync-nosync-mark 0x1/0x3\n"
        "    pfsync-nosync-zone 5\n"
        "    pfsync-table conntrack\n",
    )
    it.ifup("-a")
    shown = it.host.ip("-d", "link", "show", "pfsync0")
    for words in ("syncdev eth2", "maxupd 7", "defer", "nosync-mark 0x1/0x3", "nosync-zone 5"):
        assert words in shown
    it.ifup("--force", "pfsync0")
    it.ifdown("-a")
    assert it.left() == []


def test_the_passphrase(lan: Lan, on: Make) -> None:
    """Of a line or of a file it is the same one; no command line has it."""
    b = on(lan.b)
    c.create(lan.a, password="secretpassword")
    c.wait_state(lan.a, "master")
    (b.folder / "carp.pass").write_text("secretpassword\nnot this\n")
    for line in ("carp-pass secretpassword", "carp-passfile /etc/carp.pass"):
        b.write(STANZA, f"    {line}\n")
        trace = b.folder / "trace"
        b.run("strace", "-f", "-e", "execve", "-s", "99", "-o", str(trace), f"ifup{b.suffix}", "-a")
        assert "carpdev" in trace.read_text() and "secretpassword" not in trace.read_text()
        time.sleep(6)  # by when one that believed nobody would be master
        assert (c.state(lan.a), c.state(lan.b)) == ("master", "backup")
        b.ifdown("-a")


# -- mistakes


MISTAKES = {
    "carp-advskew 300": '"advskew" value "300" is invalid: a number of 0-254 is expected.',
    "carp-vhidd 1": "there is no option carp-vhidd.",
    "carp-state master": "there is no option carp-state.",
    "carp-carpnodes 1:0,2:0": "vhid and carpnodes exclude each other.",
    "carp-linklocal maybe": "carp-linklocal maybe: yes or no is expected.",
    "carp-passfile /no": '"passfile" cannot read "/no": No such file or directory.',
    "carp-authkey 1": "carp-authkey 1: an id and a file are expected.",
    "carp-auth on": (
        '"auth" value "on" is invalid: off, receive, permissive or enforce is expected.'
    ),
    "carp-pass 12345678901234567890": "the passphrase is longer than 19 characters.",
    "carp-group a 1": "a group's name has 1-15 characters, the last one no digit.",
    "pfsync-defer yes": "lines of carp- and of pfsync- cannot stand in one stanza.",
}


def test_mistakes(it: Ifupdown) -> None:
    """One sentence each, and nothing is made. What is wrong with an option is found by the
    same lines for both: a few will do for the second."""
    for line, told in list(MISTAKES.items())[-2 if it.suffix else 0 :]:
        it.write(ETH0, STANZA, f"    {line}\n")
        assert it.refused() == told, line


def test_a_parent_that_is_not_there(it: Ifupdown) -> None:
    it.write(ETH0, STANZA.replace("carpdev eth0", "carpdev eth9"))
    assert it.refused() == "carp-carpdev eth9: there is no such interface."
    it.write("auto pfsync0\niface pfsync0 inet manual\n    pfsync-syncdev eth9\n")
    assert it.refused() == "pfsync-syncdev eth9: there is no such interface."


@pytest.mark.parametrize("on", [""], indirect=True)
def test_a_line_that_is_there_twice(it: Ifupdown) -> None:
    """ifupdown hands over both, ifupdown-ng one of them."""
    it.write(STANZA, "    carp-vhid 2\n")
    assert it.refused() == "carp-vhid is there more than once."


def test_an_interface_of_another_kind(it: Ifupdown) -> None:
    it.write("auto eth1\niface eth1 inet manual\n    carp-vhid 1\n")
    done = it.run(f"ifup{it.suffix}", "-a", check=False)
    assert "eth1: it is there already, and is no carp interface.\n" in done.stderr
    assert done.returncode
    it.run(f"ifdown{it.suffix}", "--force", "eth1", check=False)
    assert it.host.show("eth1")["linkinfo"]["info_kind"] == "dummy"


def test_without_the_module(it: Ifupdown) -> None:
    rmmod("carp")
    it.write(ETH0, STANZA)
    assert it.refused() == "the kernel has no carp interfaces: is carp.ko installed?"


def test_a_passfile_that_others_can_read(it: Ifupdown) -> None:
    """A warning, and the interface comes up."""
    it.write(ETH0, STANZA, "    carp-passfile /etc/carp.pass\n")
    (it.folder / "carp.pass").chmod(0o644)
    done = it.run(f"ifup{it.suffix}", "-a")
    assert done.stderr.startswith("carp0: Warning: others than its owner can read")
    c.wait_state(it.host, "master")
    it.ifdown("-a")
