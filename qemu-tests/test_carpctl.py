# SPDX-License-Identifier: GPL-2.0
"""carpctl: ifconfig(8)'s words for carp interfaces. Its words by themselves are tested
in tools/carpctl; here it speaks with the kernel."""

from __future__ import annotations

import json

import pytest
from lib import carp as c
from lib.host import Host
from lib.lan import VIP
from lib.modules import insmod, rmmod
from lib.process import run

pytestmark = pytest.mark.usefixtures("carp")

VIP6 = "2001:db8::1"


def carpctl(host: Host, line: str, **options: str) -> str:
    return host.run("carpctl", *line.split(), **options).stdout


def refused(host: Host, line: str, status: int = 1) -> str:
    """Runs carpctl, which must fail and leave everything as it was; returns its words."""
    before = host.ip("-d", "-j", "addr")
    done = host.run("carpctl", *line.split(), check=False)
    assert done.returncode == status, f"{line}: {done}"
    assert host.ip("-d", "-j", "addr") == before, f"{line} was refused and changed something"
    assert done.stdout == ""
    return done.stderr.strip()


def addresses(host: Host, name: str = "carp0") -> list[str]:
    """The addresses as ADDRESS/LENGTH, without link-local ones."""
    (shown,) = json.loads(host.ip("-j", "addr", "show", "dev", name))
    return [
        f"{info['local']}/{info['prefixlen']}"
        for info in shown["addr_info"]
        if info["scope"] != "link"
    ]


# -- done


def test_openbsds_line(host: Host) -> None:
    """One line makes the interface, and its address brings it up."""
    carpctl(host, f"carp0 vhid 1 pass secret carpdev eth0 advskew 100 {VIP}/24")
    c.wait_state(host, "master")
    shown = carpctl(host, "carp0").splitlines()
    assert shown[0].startswith("carp0: flags=") and shown[0].endswith("mtu 1500")
    assert "\tlladdr 00:00:5e:00:01:01" in shown
    assert "\tcarp: MASTER carpdev eth0 vhid 1 advbase 1 advskew 100" in shown
    assert "\tstatus: master" in shown
    assert f"\tinet {VIP} netmask 0xffffff00 broadcast 10.0.0.255" in shown


def test_the_phrase_is_the_same(host: Host) -> None:
    """As ip(8) gives it: on the command line, from a file, from standard input."""
    for words, given in (("pass secret", ""), ("pass -", "secret\n"), ("passfile -", "secret")):
        carpctl(host, f"carp0 vhid 1 carpdev eth0 {words} {VIP}/24", input=given)
        capture = host.capture("eth0", "proto 112")
        c.wait_state(host, "master")
        first = c.heard(capture.packets())[0]
        expected = c.Advertisement(counter=first.data[42:50], password="secret")
        assert first.data[34:70] == expected.payload(), words
        carpctl(host, "carp0 destroy")


def test_step_by_step(host: Host) -> None:
    for line in ("create", "vhid 1", "carpdev eth0", f"inet {VIP} netmask 255.255.255.0 down"):
        carpctl(host, f"carp0 {line}")
        assert c.state(host) == "init", line
    carpctl(host, "carp0 up")
    assert c.state(host) == "backup"
    carpctl(host, "carp0 state master")
    assert c.state(host) == "master"
    carpctl(host, "carp0 advbase 2 advskew 7 -carpdev")
    assert c.state(host) == "init"
    told = c.info(host)
    assert (told["advbase"], told["advskew"]) == (2, 7)
    assert "carpdev" not in told
    carpctl(host, "carp0 down")
    carpctl(host, "carp0 destroy")
    assert "there is no such interface" in refused(host, "carp0")


def test_bare(host: Host) -> None:
    carpctl(host, "carp0 create")
    shown = carpctl(host, "carp0")
    assert "\tcarp: INIT carpdev none advbase 1\n" in shown
    assert "\tstatus: init\n" in shown


def test_all_are_shown(host: Host) -> None:
    assert carpctl(host, "") == ""
    carpctl(host, f"carp0 vhid 1 carpdev eth0 {VIP}/24")
    carpctl(host, "carp1 vhid 2 carpdev eth1")
    shown = carpctl(host, "")
    assert shown == carpctl(host, "carp0") + carpctl(host, "carp1")
    assert "carpdev eth1 vhid 2" in shown
    assert "eth0:" not in shown, "others are ip's to show"


def test_addresses(host: Host) -> None:
    """An IPv4 address replaces the first, an alias comes beside it, and -alias takes
    one away and no other."""
    carpctl(host, f"carp0 vhid 1 carpdev eth0 {VIP}/24")
    carpctl(host, "carp0 10.0.0.7/24 alias")
    carpctl(host, "carp0 inet alias 10.0.0.8 netmask 255.255.255.0")
    assert addresses(host) == [f"{VIP}/24", "10.0.0.7/24", "10.0.0.8/24"]
    carpctl(host, "carp0 10.0.0.9/24")
    assert sorted(addresses(host)) == ["10.0.0.7/24", "10.0.0.8/24", "10.0.0.9/24"]
    carpctl(host, f"carp0 {addresses(host)[0]} delete")
    assert len(addresses(host)) == 2
    for address in addresses(host):
        carpctl(host, f"carp0 inet -alias {address.partition('/')[0]}")
    assert addresses(host) == []


def test_an_address_twice(host: Host) -> None:
    carpctl(host, f"carp0 vhid 1 carpdev eth0 {VIP}/24")
    carpctl(host, f"carp0 {VIP}/24")
    carpctl(host, f"carp0 {VIP}/24 alias")
    assert addresses(host) == [f"{VIP}/24"]


def test_ipv6_addresses(host: Host) -> None:
    carpctl(host, f"carp0 vhid 1 carpdev eth0 inet6 {VIP6} 64")
    carpctl(host, "carp0 inet6 2001:db8::2 64")
    assert sorted(addresses(host)) == [f"{VIP6}/64", "2001:db8::2/64"]
    assert f"\tinet6 {VIP6} prefixlen 64\n" in carpctl(host, "carp0")
    carpctl(host, f"carp0 inet6 {VIP6} -alias")
    assert addresses(host) == ["2001:db8::2/64"]
    carpctl(host, f"carp0 -inet6 {VIP}/24")
    assert addresses(host) == [f"{VIP}/24"]


def test_counters_of_an_interface(host: Host) -> None:
    carpctl(host, f"carp0 vhid 1 carpdev eth0 {VIP}/24")
    c.wait_state(host, "master")
    told = json.loads(carpctl(host, "stats --json carp0"))
    assert told["tx_ipv4"] >= 1 and set(told) == set(c.stats(host))
    assert f"preempt {told['preempt']}\n" in carpctl(host, "stats carp0")


# -- refused


@pytest.fixture
def configured(host: Host) -> Host:
    carpctl(host, f"carp0 vhid 1 carpdev eth0 advbase 60 {VIP}/24")
    carpctl(host, "carp1 vhid 2 carpdev eth0 advbase 60")
    return host


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("carp0 vhid 0", "carp0: vhid must be 1-255."),
        ("carp0 advskew 9 advbase 255 10.0.0.9/24", "carp0: advbase must be 0-254."),
        ("carp9 vhid 0 10.0.0.9/24", "carp9: vhid must be 1-255."),
        ("carp0 create", "carp0 is there already."),
        ("carp0 carpdev nope", "carpdev nope: there is no such interface."),
        ("carp0 10.0.0.9 delete", "carp0 has no address 10.0.0.9."),
        ("carp9 destroy", "carp9: there is no such interface."),
        ("eth0 destroy", "eth0 is not a carp interface."),
        ("nope vhid 1", "nope: there is no such interface."),
        ("nope", "nope: there is no such interface."),
        ("carp0123456789012", "carp0123456789012: there is no such interface."),
        # the kernel refuses the address, and the interface is taken away again
        ("carp9 vhid 9 carpdev eth0 inet6 ff02::1", "carp9: ff02::1: "),
        ("carp9 vhid 1 carpdev eth0", "carp9: "),
    ],
)
def test_what_cannot_be(configured: Host, line: str, sentence: str) -> None:
    told = refused(configured, line)
    assert told.startswith(f"carpctl: {sentence}"), told
    assert told.count("\n") == 0


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("carp0 vhid 256", 'vhid "256": a number of 1-255 is expected.'),
        ("carp0 advskew 9 frobnicate", 'there is no word "frobnicate": see carpctl --help.'),
        ("carp0123456789012 up", "carp0123456789012 is longer than 15 characters."),
        ("eth0 advskew 1", '"advskew" is a word for carp interfaces only.'),
        ("eth0 up 10.0.0.9", "10.0.0.9 needs a prefix length: "),
        ("-g carp carpdemote 129", 'carpdemote "129": a number of 1-128 is expected.'),
    ],
)
def test_what_means_nothing(configured: Host, line: str, sentence: str) -> None:
    told = refused(configured, line, status=2)
    assert told.startswith(f"carpctl: {sentence}"), told


def test_a_user_may_not(configured: Host) -> None:
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    done = configured.run(*user, "carpctl", "carp0", "advskew", "9", check=False)
    assert done.returncode == 1
    assert done.stderr == "carpctl: carp0: Operation not permitted.\n"
    assert "vhid 1" in configured.run(*user, "carpctl", "carp0").stdout, "but may look"


def test_nobody_reads(configured: Host) -> None:
    done = configured.run("sh", "-c", "{ sleep 1; carpctl carp0; echo $? >&2; } | true")
    assert done.stderr == "0\n"


def test_without_the_module() -> None:
    rmmod("carp")
    try:
        done = run(("carpctl", "carp0", "create"), check=False)
        assert done.stderr == "carpctl: carp0: carp.ko is not loaded.\n"
        done = run(("carpctl", "status"), check=False)
        assert "carp.ko is not loaded" in done.stderr
    finally:
        insmod("carp")
