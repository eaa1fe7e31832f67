# SPDX-License-Identifier: GPL-2.0
"""What users get wrong: each is an error in words, and changes nothing."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from lib import carp as c
from lib import kernel
from lib.clock import wait_for
from lib.host import Host
from lib.rtnl import NetlinkError, attribute
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

# include/uapi/linux/if_carp.h
VHID, CARPDEV, ADVBASE, ADVSKEW, PASS, STATE, DEMOTE, PAD, STATS = range(1, 10)
UNUSED = 31


@pytest.fixture
def host(world: World) -> Host:
    """carp0 is a MASTER with vhid 1 on eth0, carp1 a BACKUP with vhid 2 beside it, and
    carp2 has vhid 1 on eth1; all of it will stay as it is for a minute."""
    host = world.host("a")
    host.ip_batch(*(f"link add eth{i} arp on type dummy" for i in (0, 1)))
    host.ip_batch("link set eth0 up", "link set eth1 up", "addr add 10.0.0.2/24 dev eth0")
    c.create(host, "advbase 0")
    c.create(host, "advbase 60", vhid=2, name="carp1", addresses=("10.0.0.8/24",))
    c.create(host, vhid=1, carpdev="eth1", name="carp2", addresses=(), up=False)
    wait_for(lambda: host.link("carp0").operstate == "up", 5, "carp0 is master")
    return host


def refused(host: Host, *words: str) -> str:
    """Runs ip(8), which must fail and leave everything as it was; returns its words."""
    return host.refused("ip", *words)


WRONG_VALUES = [
    ("vhid 0", "Error: vhid must be 1-255."),
    ("vhid 256", 'Error: "vhid" value "256" is invalid: a number of 1-255 is expected.'),
    ("vhid one", 'Error: "vhid" value "one" is invalid: a number of 1-255 is expected.'),
    ("vhid", 'Error: "vhid" needs a value.'),
    ("vhid 5 vhid 6", 'Error: duplicate "vhid".'),
    ("advskew 255", "Error: advskew must be 0-254."),
    ("advbase 255", "Error: advbase must be 0-254."),
    ("advskew -1", 'Error: "advskew" value "-1" is invalid: a number of 0-254 is expected.'),
    ("pass " + "x" * 20, "Error: the passphrase is longer than 19 characters."),
    (
        "pass " + "x" * 256,
        'Error: the value of "pass" is too long: 0-19 bytes are expected.',
    ),
    ("passfile /nope", 'Error: "passfile" cannot read "/nope": No such file or directory.'),
    ("carpdev nope", 'Cannot find device "nope"'),
    ("carpdev lo", "Error: lo is not an Ethernet interface."),
    (
        "carpdev carp1",
        "Error: carp1 is a carp interface, which cannot be the carpdev of another.",
    ),
    ("state init", "Error: state can be set to backup or master only."),
    ("state dead", 'Error: "state" value "dead" is invalid: backup or master is expected.'),
    # the first value would be right
    ("advskew 9 vhid 0", "Error: vhid must be 1-255."),
]


@pytest.mark.parametrize("words, sentence", WRONG_VALUES)
def test_a_wrong_value(host: Host, words: str, sentence: str) -> None:
    """At creation no interface is left behind; one that is there stays as it is."""
    new = ("link", "add", "carp9", "type", "carp", *words.split())
    assert refused(host, *new).split("\n")[0] == sentence
    set_ = ("link", "set", "carp0", "type", "carp", *words.split())
    assert refused(host, *set_).split("\n")[0] == sentence


@pytest.mark.parametrize(
    "words, sentence",
    [
        ("add carp9 type carp vhid 2 carpdev eth0", "vhid 2 is in use on eth0 already"),
        ("add link eth0 name carp9 type carp vhid 2", "vhid 2 is in use on eth0 already"),
        ("set carp0 type carp vhid 2", "vhid 2 is in use on eth0 already"),
        ("set carp0 type carp vhid 2 advskew 7", "vhid 2 is in use on eth0 already"),
        ("set carp0 type carp carpdev eth1", "vhid 1 is in use on eth1 already"),
        ("set carp1 type carp carpdev eth1 vhid 1", "vhid 1 is in use on eth1 already"),
        ("set carp0 type carp carpdev carp0", "carp0 is a carp interface, which cannot be"),
        (
            "add link eth0 name carp9 type carp vhid 9 carpdev eth1",
            "carpdev and link name different interfaces",
        ),
        (
            "add carp9 type carp vhid 9 carpdev eth0 state master",
            "state can be set once the interface is up",
        ),
        (
            "set carp2 type carp state master",
            "state cannot be set while the interface is INIT",
        ),
        (
            "set carp0 type carp carpdev none state backup",
            "state cannot be set while the interface is INIT",
        ),
    ],
)
def test_what_does_not_go_together(host: Host, words: str, sentence: str) -> None:
    assert refused(host, "link", *words.split()).startswith(f"Error: {sentence}")


def test_the_same_vhid_on_another_parent_is_fine(host: Host) -> None:
    host.ip(*"link add carp9 type carp vhid 2 carpdev eth1".split())
    assert c.info(host, "carp9")["vhid"] == c.info(host, "carp1")["vhid"] == 2


def test_a_vhid_is_free_again(host: Host) -> None:
    """After its interface has moved, taken another, or gone."""
    host.ip(*"link set carp1 type carp vhid 3".split())
    host.ip(*"link set carp0 type carp vhid 2".split())
    host.ip(*"link set carp0 type carp carpdev none".split())
    host.ip(*"link set carp1 type carp vhid 2".split())
    host.ip("link", "del", "carp1")
    host.ip(*"link set carp0 type carp carpdev eth0".split())
    assert c.info(host)["vhid"] == 2


def test_an_unknown_word(host: Host) -> None:
    words = refused(host, *"link add carp9 type carp vhid 9 colour red".split())
    assert words.startswith('Error: carp does not know the word "colour".\nUsage: ... carp ')


@pytest.mark.parametrize(
    "kind, make",
    [
        ("sit", ["link add p0 type sit remote 10.0.0.9 local 10.0.0.2"]),
        ("gre", ["link add p0 type gre remote 10.0.0.9 local 10.0.0.2"]),
        ("ipip", ["link add p0 type ipip remote 10.0.0.9 local 10.0.0.2"]),
        ("tun", ["tuntap add p0 mode tun"]),
    ],
)
def test_a_parent_that_is_not_ethernet(host: Host, kind: str, make: list[str]) -> None:
    if kind == "tun":
        kernel.load("tun")
    host.ip_batch(*make)
    for words in ("add carp9 type carp vhid 9 carpdev p0", "set carp0 type carp carpdev p0"):
        assert refused(host, "link", *words.split()) == (
            "Error: p0 is not an Ethernet interface."
        ), kind


@pytest.mark.parametrize(
    "master, make",
    [
        ("bridge", ["link add m0 type bridge", "link set p0 master m0"]),
        ("bond", ["link add m0 type bond", "link set p0 down", "link set p0 master m0"]),
        ("team", ["link add m0 type team", "link set p0 down", "link set p0 master m0"]),
        ("macvlan", ["link add m0 link p0 type macvlan mode bridge"]),
    ],
)
def test_a_parent_that_is_taken(host: Host, master: str, make: list[str]) -> None:
    """What belongs to another device below it receives for that one."""
    host.ip_batch("link add p0 arp on type dummy", *make)
    for words in ("add carp9 type carp vhid 9 carpdev p0", "set carp0 type carp carpdev p0"):
        assert refused(host, "link", *words.split()) == (
            "Error: p0 is taken: it is a port of a bridge, bond, team or macvlan."
        ), master


@pytest.mark.parametrize(
    "make, sentence",
    [
        (
            "link add p0 link eth1 type macvlan mode bridge",
            "p0 is a macvlan that is not in passthru mode: it would never see the virtual MAC",
        ),
        *(
            (
                f"link add p0 link eth1 type {kind} mode {mode}",
                "p0 is an ipvlan, which would never see the virtual MAC",
            )
            for kind in ("ipvlan", "ipvtap")
            for mode in ("l2", "l3", "l3s")
        ),
        (
            "link add p0 type vrf table 7",
            "p0 has no ARP, so there must be unicast peers (carppeer)",
        ),
    ],
)
def test_a_parent_that_would_not_see_the_virtual_mac(host: Host, make: str, sentence: str) -> None:
    host.ip("link", "del", "carp2")
    host.ip(*make.split())
    words = refused(host, *"link add carp9 type carp vhid 9 carpdev p0".split())
    # the kernel's room for words is 80 bytes
    assert words == f"Error: {sentence[:79]}."


@pytest.mark.parametrize("mode", ["l2", "l3"])
def test_an_ipvlan_is_not_chosen_by_its_subnet(host: Host, mode: str) -> None:
    """Not even where it alone has an address there."""
    host.ip_batch(
        "link del carp2",
        f"link add p0 link eth1 type ipvlan mode {mode}",
        "link set p0 up",
        "addr add 10.9.0.2/24 dev p0",
        "link add carp9 type carp vhid 9",
        "addr add 10.9.0.1/24 dev carp9",
    )
    assert not c.info(host, "carp9").get("carpdev")


@pytest.mark.parametrize("master", ["bridge", "bond", "team"])
def test_a_parent_cannot_be_taken_by_others(host: Host, master: str) -> None:
    host.ip("link", "add", "m0", "type", master)
    host.ip("link", "set", "eth1", "down")
    refused(host, "link", "set", "eth1", "master", "m0")
    host.ip("link", "set", "carp2", "type", "carp", "carpdev", "none")
    host.ip("link", "set", "eth1", "master", "m0")


def test_a_parent_that_stands_on_the_interface(host: Host) -> None:
    """A loop would go round for ever."""
    host.ip(*"link add link carp0 name v0 type vlan id 7".split())
    words = refused(host, *"link set carp0 type carp carpdev v0".split())
    assert words.startswith("Error: "), f"in words, not only {words!r}"


def test_a_mac_that_is_none(host: Host) -> None:
    for mac in ("01:00:5e:00:01:09", "00:00:00:00:00:00"):
        refused(host, *f"link add carp9 address {mac} type carp vhid 9 carpdev eth0".split())
        refused(host, *f"link set carp0 address {mac}".split())
    assert host.link("carp0").address == "00:00:5e:00:01:01"


# -- what no program would say


def bad_request(host: Host, *data: bytes) -> str:
    """Making an interface and changing one with these attributes fails, in the same
    words, and changes nothing."""
    before = host.ip("-d", "-j", "link")
    words = set()
    requests: list[Callable[[], None]] = [
        lambda: host.rtnl.add_link("carp9", "carp", *data),
        lambda: host.rtnl.change_link("carp0", "carp", *data),
    ]
    for request in requests:
        with pytest.raises(NetlinkError) as error:
            request()
        words.add(error.value.words)
    assert host.ip("-d", "-j", "link") == before
    assert len(words) == 1
    return words.pop()


@pytest.mark.parametrize("kind", [VHID, ADVBASE, ADVSKEW, STATE])
@pytest.mark.parametrize("length", [0, 2, 4])
def test_a_byte_of_another_length(host: Host, kind: int, length: int) -> None:
    value = b"\2\0\0\0"[:length]
    assert bad_request(host, attribute(kind, value)) == "invalid attribute length"


@pytest.mark.parametrize("length", [0, 1, 2, 8])
def test_an_index_of_another_length(host: Host, length: int) -> None:
    value = struct.pack("=Q", host.link("eth0").index)[:length]
    assert bad_request(host, attribute(CARPDEV, value)) == "invalid attribute length"


@pytest.mark.parametrize("index", [9999, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_an_index_of_no_device(host: Host, index: int) -> None:
    value = attribute(CARPDEV, struct.pack("=I", index))
    assert bad_request(host, value) == f"carpdev: there is no interface with index {index}"


@pytest.mark.parametrize("kind", [DEMOTE, PAD, STATS])
@pytest.mark.parametrize("length", [0, 4, 8])
def test_what_is_only_told_cannot_be_set(host: Host, kind: int, length: int) -> None:
    assert bad_request(host, attribute(kind, bytes(length)))


@pytest.mark.parametrize("kind", [UNUSED, UNUSED + 1, 40, 50])
def test_attributes_of_the_future_are_refused(host: Host, kind: int) -> None:
    """A newer ip learns that this module is too old, instead of being believed. 50 is
    rtnetlink's limit; what is beyond it never reaches the module and is ignored."""
    assert bad_request(host, attribute(kind, b"\1"))


def test_attributes_beyond_rtnetlinks_limit_are_ignored(host: Host) -> None:
    before = host.ip("-d", "-j", "link")
    for kind in (51, 1000, 0x3FFF):
        host.rtnl.change_link("carp0", "carp", attribute(kind, b"\1"))
    assert host.ip("-d", "-j", "link") == before


@pytest.mark.parametrize(
    "data, words",
    [
        (attribute(STATE, b"\3"), "state can be set to backup or master only"),
        (attribute(STATE, b"\xff"), "state can be set to backup or master only"),
        (attribute(VHID, b"\0"), "vhid must be 1-255"),
        (attribute(PASS, bytes(20)), "the passphrase is longer than 19 characters"),
        (attribute(PASS, bytes(30000)), "the passphrase is longer than 19 characters"),
    ],
    ids=["state 3", "state 255", "vhid 0", "pass of 20 bytes", "pass of 30000 bytes"],
)
def test_a_value_that_ip_would_not_send(host: Host, data: bytes, words: str) -> None:
    assert bad_request(host, data) == words


def test_a_piece_of_an_attribute(host: Host) -> None:
    """Its length says more than there is."""
    before = host.ip("-d", "-j", "link")
    for piece in (b"\x08", b"\xff\xff\1\0\1", b"\x03\0\1\0", b"\0\0\1\0"):
        try:
            host.rtnl.change_link("carp0", "carp", piece)
        except NetlinkError:
            continue
    assert host.ip("-d", "-j", "link") == before


def test_a_link_layer_address_of_another_virtual_host(host: Host) -> None:
    """Whoever has it gets the other one's packets."""
    taken = refused(host, "link", "set", "carp1", "address", "00:00:5e:00:01:01")
    assert "this address is that of another virtual host on eth0" in taken
    host.ip("link", "set", "carp0", "address", "02:00:00:00:00:78")
    taken = refused(host, "link", "set", "carp1", "address", "02:00:00:00:00:78")
    assert "this address is that of another virtual host on eth0" in taken
    # the other way round: a vhid whose virtual MAC somebody was given by hand
    host.ip("link", "set", "carp1", "address", "00:00:5e:00:01:09")
    taken = refused(host, "link", "add", "carp9", "type", "carp", "vhid", "9", "carpdev", "eth0")
    assert "the virtual MAC of vhid 9 is an interface's on eth0" in taken
