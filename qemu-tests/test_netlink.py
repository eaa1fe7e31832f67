# SPDX-License-Identifier: GPL-2.0
"""What users ask of a carp interface over netlink, mostly in ip(8)'s words: made at
once or step by step, changed, shown. Bad input is in test_refusals.py."""

from __future__ import annotations

import itertools
import re
import socket
import struct
from typing import Any

import pytest
from lib import auth
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import VIP
from lib.process import run
from lib.rtnl import RTM_GETLINK, link_message

pytestmark = pytest.mark.usefixtures("carp")

SECRET = "Xyzzy-Plugh-Plover"
NLMSG_DONE = 3
RTMGRP_LINK = 1

# what is shown although nobody has said anything of it
DEFAULTS = {
    "balancing": "none",
    "minttl": 255,
    "linklocal": False,
    "demoteskew": True,
    "announce": 0,
    "auth": "off",
    "authactive": 0,
    "authkeys": [],
    "authwindow": 5,
    "authmonotonic": False,
    "demote": 0,
    "groups": ["carp"],
}


def change(host: Host, words: str, name: str = "carp0") -> None:
    host.ip("link", "set", name, "type", "carp", *words.split())


def told(host: Host, name: str = "carp0") -> dict[str, Any]:
    """What ip tells of carp, without the counters."""
    data = c.info(host, name)
    del data["stats"]
    return data


# -- made


def test_everything_at_creation(host: Host) -> None:
    host.ip(*"link add carp0 type carp vhid 7 carpdev eth0 advbase 2 advskew 30 pass x".split())
    assert told(host) == {
        **DEFAULTS,
        "state": "init",
        "vhid": 7,
        "carpdev": "eth0",
        "advbase": 2,
        "advskew": 30,
        "authwindow": 7,  # three intervals
        "carpnodes": [{"vhid": 7, "advskew": 30, "state": "init"}],
        "addresses": [],
        "address_count": 0,
    }
    shown = host.show("carp0")
    assert shown["linkinfo"]["info_kind"] == "carp"
    assert shown["link"] == "eth0", "ip shows carp0@eth0"
    assert shown["link_type"] == "ether"
    assert shown["address"] == "00:00:5e:00:01:07"
    assert shown["operstate"] == "DOWN"
    assert shown["mtu"] == host.show("eth0")["mtu"]


def test_bare(host: Host) -> None:
    """Without a word: OpenBSD's defaults, and nothing about what there is not."""
    host.ip("link", "add", "carp0", "type", "carp")
    assert told(host) == {
        **DEFAULTS,
        "state": "init",
        "advbase": 1,
        "advskew": 0,
        "addresses": [],
        "address_count": 0,
    }
    assert "link" not in host.show("carp0")
    host.ip("link", "set", "carp0", "up")
    assert c.state(host) == "init"


def test_a_name_is_found(host: Host) -> None:
    host.ip_batch("link add type carp", "link add type carp")
    assert host.link("carp0").index != host.link("carp1").index


@pytest.mark.parametrize(
    "words",
    [
        "link add link eth0 name carp0 type carp vhid 1",
        "link add link eth0 name carp0 type carp vhid 1 carpdev eth0",
    ],
)
def test_link_means_carpdev(host: Host, words: str) -> None:
    host.ip(*words.split())
    assert told(host)["carpdev"] == "eth0"


def test_step_by_step_in_any_order(host: Host) -> None:
    """Whatever is said last makes it BACKUP, and nothing before. The address is in no
    parent's subnet, so that it chooses none."""
    steps = (
        "link set carp0 type carp vhid 1",
        "link set carp0 type carp carpdev eth0",
        "addr add 10.9.0.1/24 dev carp0",
        "link set carp0 up",
    )
    for order in itertools.permutations(steps):
        host.ip("link", "add", "carp0", "type", "carp")
        for step in order:
            assert c.state(host) == "init", f"before {step!r} in {order}"
            host.ip(*step.split())
        assert c.state(host) == "backup", order
        assert host.link("carp0").address == "00:00:5e:00:01:01"
        host.ip("link", "del", "carp0")


def test_the_receive_filter_is_set_in_any_order(host: Host) -> None:
    """The parent takes the virtual MAC in, whatever was said first: dummy has no
    filter for it and turns promiscuous."""
    steps = (
        "link set carp0 type carp vhid 1",
        "link set carp0 type carp carpdev eth0",
        "link set carp0 up",
    )
    for order in itertools.permutations(steps):
        host.ip_batch("link add carp0 type carp", *order)
        assert host.show("eth0")["promiscuity"] == 1, order
        change(host, "vhid 2")
        assert host.show("eth0")["promiscuity"] == 1, f"another vhid after {order}"
        host.ip("link", "del", "carp0")
        assert host.show("eth0")["promiscuity"] == 0, order


# -- changed while running


# So many nanoseconds it is silent before it takes over.
LISTENS = 3e9 / 256


@pytest.fixture
def master(host: Host) -> Host:
    """The host is master, with an advertisement every 1/256 s: tests see quickly
    what it says."""
    c.create(host, "advbase 0", advskew=1)
    c.wait_state(host, "master")
    wait_for(lambda: host.link("carp0").operstate == "up", 2, "MASTER is up")
    return host


def advertised(host: Host, device: str = "eth0") -> c.Heard:
    """The next advertisement."""
    capture = host.capture(device, only="ip proto 112")
    wait_for(lambda: capture.sent(), 5, f"an advertisement on {device}")
    return c.heard(capture.sent())[0]


def test_vhid_changed(master: Host) -> None:
    """It is another virtual host now: it bows out as the old one, listens first, and
    has the MAC of the new one."""
    capture = master.capture("eth0", only="ip proto 112")
    change(master, "vhid 9")
    assert master.link("carp0").address == "00:00:5e:00:01:09"
    c.wait_state(master, "master")
    spoken = c.heard(capture.sent())
    farewell = next(i for i, packet in enumerate(spoken) if packet.is_bow_out)
    assert {p.vhid for p in spoken[: farewell + 1]} == {1}
    assert {p.vhid for p in spoken[farewell + 1 :]} == {9}
    assert spoken[farewell + 1].time - spoken[farewell].time > LISTENS
    assert spoken[-1].mac == c.virtual_mac(9)


def test_carpdev_changed(master: Host) -> None:
    """It bows out on the old parent and goes on on the new one."""
    capture = master.capture("eth0", only="ip proto 112")
    there = master.capture("eth1", only="ip proto 112")
    change(master, "carpdev eth1")
    assert told(master)["carpdev"] == master.show("carp0")["link"] == "eth1"
    c.wait_state(master, "master")
    farewell = c.heard(capture.sent())[-1]
    assert farewell.is_bow_out
    first = wait_for(lambda: c.heard(there.sent()), 5, "an advertisement on eth1")[0]
    assert first.time - farewell.time > LISTENS
    # eth1 has no address of its own
    assert advertised(master, "eth1").source == VIP
    assert master.show("eth0")["promiscuity"] == 0


def test_detached_and_attached_again(master: Host) -> None:
    capture = master.capture("eth0", only="ip proto 112")
    for words in ("carpdev none", "-carpdev"):
        change(master, words)
        assert c.state(master) == "init", words
        assert "carpdev" not in told(master) and "link" not in master.show("carp0")
        assert c.heard(capture.sent())[-1].is_bow_out
        assert master.show("eth0")["promiscuity"] == 0
        # detached already: no mistake
        change(master, words)
        change(master, "carpdev eth0")
        c.wait_state(master, "master")
    assert told(master) == {
        **DEFAULTS,
        "state": "master",
        "vhid": 1,
        "carpdev": "eth0",
        "advbase": 0,
        "advskew": 1,
        "carpnodes": [{"vhid": 1, "advskew": 1, "state": "master"}],
        "addresses": [VIP],
        "address_count": 1,
    }


@pytest.mark.parametrize("words", ["advbase 3", "advskew 254", "advbase 2 advskew 5"])
def test_interval_changed(master: Host, words: str) -> None:
    """A master says so at once, and stays master."""
    capture = master.capture("eth0", only="ip proto 112")
    change(master, words)
    last = c.heard(capture.sent())[-1]
    wanted = {"advbase": 0, "advskew": 1}
    wanted.update(zip(words.split()[::2], map(int, words.split()[1::2]), strict=True))
    assert {"advbase": last.advbase, "advskew": last.advskew} == wanted
    assert told(master) == {**told(master), **wanted, "state": "master"}


@pytest.mark.parametrize("password", ["another", "x" * 19, ""])
def test_passphrase_changed(master: Host, password: str) -> None:
    """The next advertisement is signed with the new one. Empty: there is none."""
    master.ip("link", "set", "carp0", "type", "carp", "pass", password)
    heard = advertised(master)
    advertisement = c.Advertisement(
        advbase=0, advskew=1, counter=heard.data[42:50], password=password
    )
    assert heard.data[34:] == advertisement.payload()
    assert c.state(master) == "master"


def test_what_stays_the_same_changes_nothing(master: Host) -> None:
    before = told(master)
    change(master, "vhid 1 carpdev eth0 advbase 0 advskew 1")
    assert told(master) == before
    assert c.stats(master)["preempt"] == 1, "master once, and never left it"


# -- shown


def test_text(master: Host) -> None:
    text = " ".join(master.ip("-d", "link", "show", "carp0").split())
    assert "carp0@eth0: <" in text
    assert "carp state MASTER vhid 1 carpdev eth0 advbase 0 advskew 1 demote 0 groups carp " in text
    assert "rx_ipv4" not in text, "counters are shown with -s only"
    text = " ".join(master.ip("-d", "-s", "link", "show", "carp0").split())
    assert re.search(r"groups carp rx_ipv4 \d+ .*tx_ipv4 [1-9]\d* .*preempt 1 ", text), text


def test_counters_in_json(master: Host) -> None:
    """All of carp(4)'s, by name; nothing was received, much was sent."""
    stats = c.stats(master)
    assert set(stats) == {
        *("rx_ipv4", "rx_ipv6", "rx_echo", "rx_not_allowed", "rx_bad_interface"),
        *("rx_bad_ttl", "rx_short", "rx_bad_checksum", "rx_bad_version", "rx_bad_length"),
        *("rx_bad_auth", "rx_bad_vhid", "rx_bad_address_list", "tx_ipv4", "tx_ipv6"),
        *("tx_no_memory", "tx_error", "tx_state_updates", "preempt"),
        *(f"rx_auth_{outcome}" for outcome in auth.COUNTERS),
    }
    assert stats["tx_ipv4"] > 0
    assert {name for name, value in stats.items() if value} == {"tx_ipv4", "preempt"}


@pytest.mark.parametrize("words", ["link help carp", "link add type carp help"])
def test_help(host: Host, words: str) -> None:
    done = host.run("ip", *words.split(), check=False)
    text = done.stdout + done.stderr
    assert "Usage: ... carp [ vhid VHID" in text
    for word in ("vhid", "carpdev", "advbase", "advskew", "pass", "passfile", "state"):
        assert re.search(rf"^  {word}\s", text, re.MULTILINE), f"{word} is explained"


def dump(connection: socket.socket) -> bytes:
    """The bytes of a dump of all links."""
    body = link_message()
    connection.send(struct.pack("=IHHII", 16 + len(body), RTM_GETLINK, 0x301, 1, 0) + body)
    data = b""
    while True:
        part = connection.recv(1 << 16)
        data += part
        if struct.unpack_from("=IH", part)[1] == NLMSG_DONE:
            return data


def test_the_passphrase_is_told_to_nobody(host: Host, log: Kmsg) -> None:
    """Not in answers, dumps, notices of changes, the log, nor in ip's words."""
    host.sysctl("net.inet.carp.log", 7)
    listener = host.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    listener.bind((0, RTMGRP_LINK))
    listener.setblocking(False)
    c.create(host, "advbase 0", advskew=1, password=SECRET)
    c.wait_state(host, "master")
    change(host, "advskew 2")
    asker = host.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    seen = {
        "an answer": host.rtnl.request(RTM_GETLINK, link_message(host.link("carp0").index)),
        "a dump": dump(asker),
        "ip": host.ip("-d", "-s", "-s", "-j", "link").encode(),
        "the log": "\n".join(log.read()).encode(),
    }
    with pytest.raises(BlockingIOError):
        for number in itertools.count():
            seen[f"notice {number}"] = listener.recv(1 << 16)
    listener.close()
    asker.close()
    assert b"carp0" in seen["a dump"] and any(what.startswith("notice") for what in seen)
    key = SECRET.encode()
    for what, data in seen.items():
        for part in (key, key[:8], key[8:16]):
            assert part not in data, f"{what} holds the passphrase"


def test_a_passphrase_from_a_file(master: Host, tmp_path: Any) -> None:
    """The first line counts, and a program's arguments never hold it."""
    file = tmp_path / "pass"
    file.write_text(f"{SECRET}\nnot this\n")
    change(master, f"passfile {file}")
    heard = advertised(master)
    advertisement = c.Advertisement(
        advbase=0, advskew=1, counter=heard.data[42:50], password=SECRET
    )
    assert heard.data[34:] == advertisement.payload()


def test_a_user_may_in_a_namespace_of_his_own(host: Host) -> None:
    """Who is root in a user namespace of his own may have carp there, and may not
    touch it elsewhere."""
    c.create(host)
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    script = f"""
        set -e
        ip link add eth0 arp on type dummy
        ip link set eth0 up
        ip link add carp0 type carp vhid 1 carpdev eth0 pass x
        ip addr add {VIP}/24 dev carp0
        ip link set carp0 up
        echo 1 >/proc/sys/net/inet/carp/preempt
        sleep 4
        ip -d link show carp0
    """
    done = run((*user, "unshare", "-Urn", "sh", "-c", script))
    assert "carp state MASTER vhid 1 carpdev eth0" in done.stdout
    words = ("ip", *"link set carp0 type carp vhid 2".split())
    for outsider in ((*user, *words), (*user, "unshare", "-Ur", *words)):
        done = host.run(*outsider, check=False)
        assert done.returncode and "Operation not permitted" in done.stderr, outsider
    assert told(host)["vhid"] == 1
    assert host.sysctl("net.inet.carp.preempt") == "0"
