# SPDX-License-Identifier: GPL-2.0
"""Completion of carpctl's words, in a real bash that reads what is typed. The package
bash-completion, which loads it, is not there: scripts/test-packages has it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from lib.host import Host
from lib.lan import VIP

pytestmark = pytest.mark.programs

SCRIPT = "/usr/share/bash-completion/completions/carpctl"
# Meta-* inserts all completions, Control-A and Control-E go to both ends of the line.
SHOW = "\x1b*\x01printf '<%s>\\n' \x05; echo =\n"


def completed(host: Host, *lines: str) -> list[list[str]]:
    """What the last word of each line becomes when all its completions are inserted. One
    that has none stays as it is."""
    typed = f". {SCRIPT}\n" + "".join(line + SHOW for line in lines)
    bash = ("bash", "--norc", "--noprofile", "-i")
    done = host.run("env", "TERM=dumb", *bash, input=typed)
    shown = done.stdout.split("=\n")[:-1]
    assert len(shown) == len(lines), done
    found = []
    for line, words in zip(lines, shown, strict=True):
        words = [word[1:-1] for word in words.splitlines()]
        typed_words = shlex.split(line)
        before = typed_words if line.endswith(" ") else typed_words[:-1]
        assert words[: len(before)] == before, done
        found.append(words[len(before) :])
    return found


@pytest.fixture
def firewall(pfsync: None, host: Host) -> Host:
    """A host with an interface of each kind, and with a group of its own."""
    host.run("carpctl", *f"carp0 vhid 1 carpdev eth0 group inside {VIP}/24".split())
    host.run("carpctl", "pfsync0", "create")
    return host


def test_names(firewall: Host) -> None:
    """Interfaces and groups are those that are there."""
    assert completed(
        firewall,
        "carpctl ",
        "carpctl ca",
        "carpctl carp1 vhid 2 carpdev ",
        "carpctl pfsync0 syncdev e",
        "carpctl -g ",
        "carpctl -g carp ",
        "carpctl carp0 -group i",
        "carpctl stats ",
    ) == [
        "carp carp0 check demote doctor eth0 eth1 history inside lo maintenance metrics".split()
        + "monitor netstart peers pfsync pfsync0 react require".split()
        + "states stats status undemote".split(),
        ["carp", "carp0"],
        ["carp0", "eth0", "eth1", "lo", "pfsync0"],
        ["eth0", "eth1"],
        ["carp", "inside"],
        ["carpdemote"],
        ["inside"],
        ["carp0", "pfsync0"],
    ]


def test_words(firewall: Host) -> None:
    """Each kind of interface has its words, one that is not there those that it may get."""
    pfsync, pfsync_minus, ethernet, new, usual = completed(
        firewall,
        "carpctl pfsync0 ",
        "carpctl pfsync0 -",
        "carpctl eth0 ",
        "carpctl x ",
        "carpctl carp7 ",
    )
    of_all = {"create", "destroy", "up", "down", "mtu", "lladdr", "description", "descr"}
    words = {"syncdev", "syncpeer", "maxupd", "defer", "established", "local", "bulkwait"}
    auth = {"auth", "authkey", "authactive", "authwindow", "authtime", "authmonotonic"}
    assert set(pfsync) == of_all | words | auth
    words = ["-defer", "-descr", "-description", "-established", "-local", "-syncdev", "-syncpeer"]
    assert pfsync_minus == ["-authactive", "-authkey", *words]
    assert of_all | {"inet", "trunkport"} < set(ethernet) and "vhid" not in ethernet
    assert of_all | {"inet", "trunkport", "vhid"} < set(new)
    assert of_all | {"inet", "vhid"} < set(usual) and "trunkport" not in usual


def test_every_word_is_understood(firewall: Host) -> None:
    """The parser reads no word that is in no list, so there is no other."""
    found = completed(firewall, "carpctl carp0 ", "carpctl carp0 -")
    words = [word for some in found for word in some]
    assert len(words) > 40
    for word in words:
        done = firewall.run("carpctl", "carp0", word, "neither", "nor", check=False)
        assert done.returncode, "what follows means nothing"
        assert f'"{word}"' not in done.stderr


def test_values(firewall: Host, tmp_path: Path) -> None:
    for name in ("phrase", "phrases"):
        (tmp_path / name).touch()
    assert completed(
        firewall,
        "carpctl carp0 balancing ip-",
        "carpctl carp0 vhid 1 state ",
        f"carpctl carp0 passfile {tmp_path}/phr",
        f"carpctl carp0 authkey 1 {tmp_path}/phr",
        "carpctl carp0 authkey 1 key auth r",
        "carpctl carp0 vhid ",
        "carpctl bond0 trunkproto l",
    ) == [
        ["ip-stealth", "ip-unicast"],
        ["backup", "master"],
        [f"{tmp_path}/phrase", f"{tmp_path}/phrases"],
        [f"{tmp_path}/phrase", f"{tmp_path}/phrases"],
        ["receive"],
        [],
        ["lacp", "loadbalance"],
    ]


def test_colons_and_quotes(firewall: Host) -> None:
    """bash divides words at colons, and carpctl does not."""
    assert completed(
        firewall,
        "carpctl carp0 carpnodes 1:0,2:100 bal",
        "carpctl carp0 inet6 2001:d",
        "carpctl carp0 inet6 2001:db8::1 64 carpd",
        "carpctl carp0 description up\\ a",
        'carpctl carp0 description "outer net" mt',
    ) == [["balancing"], ["2001:d"], ["carpdev"], ["up a"], ["mtu"]]


def test_commands(firewall: Host, tmp_path: Path) -> None:
    for name in ("carp0", "vlan5", "carp0.bak"):
        (tmp_path / f"hostname.{name}").touch()
    assert completed(
        firewall,
        f"carpctl netstart --etc {tmp_path} ",
        f"carpctl netstart --etc {tmp_path} --check carp0 ",
        "carpctl netstart --",
        "carpctl monitor --j",
        "carpctl net",
        "/usr/sbin/carpctl net",
    ) == [
        ["carp0", "vlan5"],
        ["vlan5"],
        ["--boot", "--check", "--etc", "--help"],
        ["--json"],
        ["netstart"],
        ["netstart"],
    ]


def test_a_name_that_means_something_to_bash(host: Host) -> None:
    host.ip("link", "add", "a$HOME;b", "type", "dummy")
    assert completed(host, "carpctl a") == [["a$HOME;b"]]


@pytest.fixture
def asked_for(tmp_path: Path) -> Iterator[Path]:
    """A file with the modules that the kernel asked for, in place of loading them."""
    setting = Path("/proc/sys/kernel/modprobe")
    before = setting.read_text()
    script, log = tmp_path / "modprobe", tmp_path / "log"
    script.write_text(f'#!/bin/sh\necho "$@" >>{log}\nexit 1\n')
    script.chmod(0o755)
    setting.write_text(str(script))
    log.touch()
    yield log
    setting.write_text(before)


def test_no_module_is_loaded(host: Host, asked_for: Path) -> None:
    host.run("carpctl", "-g", "carp", check=False)
    assert "family-carp" in asked_for.read_text(), "a question to the family loads it"
    asked_for.write_text("")
    assert completed(host, "carpctl -g ", "carpctl mon", "carpctl carp0 group ") == [
        [],
        ["monitor"],
        [],
    ]
    assert asked_for.read_text() == ""
