# SPDX-License-Identifier: GPL-2.0
"""The generic netlink family `carp` (include/uapi/linux/carp.h, docs/carp.yaml)."""

from __future__ import annotations

import errno
import os
import shlex
import string
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lib import carp as c
from lib import kernel
from lib.genl import (
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    Answer,
    Family,
    Genl,
    open_on,
    random_attributes,
    split,
)
from lib.host import Host
from lib.lan import VIP, Lan
from lib.modules import file, insmod, rmmod
from lib.process import CommandFailed, run
from lib.rtnl import NetlinkError, attribute
from lib.world import World

pytestmark = pytest.mark.usefixtures("carp")

# include/uapi/linux/carp.h
VHOST_GET, GROUP_GET, GROUP_DEMOTE, STATS_GET, STATE_NTF, DEMOTE_NTF = range(1, 7)
ADDRESS_GET = 8
(
    IFINDEX, IFNAME, VHID, STATE, OLD_STATE, REASON, ADVBASE, ADVSKEW, DEMOTE, CARPDEV,
    GROUP, STEP, MEMBER, CAUSE, STATS, CARPDEV_NAME,
) = range(1, 17)  # fmt: skip
CARPDEV_NETNSID, DIGEST_DIFFERS = 26, 27
REASONS = (
    "started", "stopped", "no address", "reconfigured", "master timed out",
    "master timed out, IPv6", "master bowed out", "preempting", "master demoted",
    "master too slow", "better master", "equal master", "less demoted master",
    "administrator",
)  # fmt: skip
# include/uapi/linux/if_carp.h
STATS_MAX, STATS_RX_IPV4, STATS_TX_IPV4 = 27, 2, 13


class Talk:
    """A conversation with the family on a host."""

    def __init__(self, host: Host, **options: int) -> None:
        self.genl: Genl = open_on(host, **options)
        self.family: Family = self.genl.family("carp")

    def dump(self, command: int = VHOST_GET, *body: bytes) -> list[Answer]:
        return self.genl.dump(self.family.id, command, *body)

    def do(self, command: int, *body: bytes) -> list[Answer]:
        return self.genl.do(self.family.id, command, *body)

    def listen(self) -> None:
        self.genl.join(self.family.groups["events"])

    def changes(self, count: int, timeout: float = 20) -> list[tuple[str, str, str]]:
        """So many changes of state: old, new, why."""
        return [told(event) for event in self.genl.wait_events(self.family, count, timeout)]


def u8(answer: Answer, kind: int) -> int:
    (value,) = answer.attributes[kind]
    return value


def u32(answer: Answer, kind: int) -> int:
    return struct.unpack("=I", answer.attributes[kind])[0]


def told(event: Answer) -> tuple[str, str, str]:
    """An event about a state: old, new, why."""
    assert event.command == STATE_NTF
    old, new = c.STATES[u8(event, OLD_STATE)], c.STATES[u8(event, STATE)]
    return old, new, REASONS[u8(event, REASON)]


@pytest.fixture
def talk(request: pytest.FixtureRequest) -> Iterator[type[Talk]]:
    """Makes a Talk on a host; it ends with the test."""
    made: list[Talk] = []

    def make(host: Host, **options: int) -> Talk:
        made.append(Talk(host, **options))
        return made[-1]

    yield make
    for each in made:
        each.genl.socket.close()


@pytest.fixture
def host(world: World) -> Host:
    """A host with one Ethernet interface that is connected to nothing."""
    host = world.host("a")
    host.ip_batch("link add eth0 arp on type dummy", "link set eth0 up")
    return host


def many(host: Host, count: int) -> None:
    host.ip_batch(
        *(f"link add carp{n} type carp vhid {n + 1} carpdev eth0 advskew {n}" for n in range(count))
    )


# -- what there is


def test_virtual_hosts(host: Host, talk: type[Talk]) -> None:
    assert talk(host).dump() == []
    c.create(host, vhid=7, advskew=30)
    host.ip("link", "add", "carp1", "type", "carp")
    c.wait_state(host, "master")
    (answer,) = talk(host).dump()
    assert answer.command == VHOST_GET
    assert answer.attributes == {
        IFINDEX: struct.pack("=I", host.link("carp0").index),
        IFNAME: b"carp0\0",
        VHID: b"\7",
        STATE: b"\2",
        ADVBASE: b"\1",
        ADVSKEW: b"\x1e",
        DEMOTE: bytes(4),
        CARPDEV: struct.pack("=I", host.link("eth0").index),
        CARPDEV_NAME: b"eth0\0",
    }, "carp1 has no vhid, so no virtual host"


def test_several_virtual_hosts_in_an_interface(host: Host, talk: type[Talk]) -> None:
    conversation = talk(host)
    conversation.listen()
    host.ip_batch(
        "link add carp0 type carp carpnodes 3:0,5:100,9:200 balancing ip-stealth carpdev eth0",
        f"addr add {VIP}/24 dev carp0",
        "link set carp0 up",
    )
    events = conversation.genl.wait_events(conversation.family, 6)
    assert [u8(event, VHID) for event in events] == [3, 5, 9] * 2
    answers = conversation.dump()
    assert [(u8(a, VHID), u8(a, ADVSKEW), u8(a, STATE)) for a in answers] == [
        (3, 0, 2),
        (5, 100, 2),
        (9, 200, 2),
    ]
    assert {a.attributes[IFNAME] for a in answers} == {b"carp0\0"}


def test_without_parent_there_is_no_carpdev(host: Host, talk: type[Talk]) -> None:
    host.ip(*"link add carp0 type carp vhid 1".split())
    (answer,) = talk(host).dump()
    assert CARPDEV not in answer.attributes
    assert CARPDEV_NAME not in answer.attributes
    assert u8(answer, STATE) == 0


def test_a_parent_that_has_gone(host: Host, talk: type[Talk]) -> None:
    c.create(host)
    host.ip("link", "del", "eth0")
    (answer,) = talk(host).dump()
    assert CARPDEV not in answer.attributes
    assert answer.attributes[CARPDEV_NAME] == b"eth0\0"
    assert CARPDEV_NETNSID not in answer.attributes
    assert host.run("carpctl", "status").stdout.splitlines()[1].endswith("  eth0 (gone)")


def test_a_parent_in_another_namespace(lan: Lan, talk: type[Talk]) -> None:
    inner = lan.b
    lan.a.ip(*f"link add carp0 netns {inner.name} type carp vhid 1 carpdev eth0".split())
    (answer,) = talk(inner).dump()
    index = lan.a.link("eth0").index
    assert u32(answer, CARPDEV) == index
    assert answer.attributes[CARPDEV_NAME] == b"eth0\0"
    assert u32(answer, CARPDEV_NETNSID) == inner.show("carp0")["link_netnsid"]
    assert inner.run("carpctl", "status").stdout.splitlines()[1].endswith(f"  if{index}")
    lan.a.ip("link", "del", "eth0")
    (answer,) = talk(inner).dump()
    assert CARPDEV not in answer.attributes
    assert answer.attributes[CARPDEV_NAME] == b"eth0\0"
    assert CARPDEV_NETNSID in answer.attributes


def test_a_digest_that_differs(lan: Lan, talk: type[Talk]) -> None:
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    (answer,) = talk(lan.a).dump()
    assert DIGEST_DIFFERS not in answer.attributes
    lan.b.send_frame(c.Advertisement(vhid=1, password="other").frame())
    time.sleep(0.5)
    (answer,) = talk(lan.a).dump()
    assert 400 <= u32(answer, DIGEST_DIFFERS) < 1000
    assert f"carp0: digest differs: address list or passphrase; addresses {VIP}" in (
        lan.a.run("carpctl", "status").stdout
    )


def test_one_interface(host: Host, talk: type[Talk]) -> None:
    many(host, 3)
    index = host.link("carp1").index
    (answer,) = talk(host).dump(VHOST_GET, attribute(IFINDEX, struct.pack("=I", index)))
    assert u32(answer, IFINDEX) == index


@pytest.mark.parametrize(
    ("device", "code", "words"),
    [
        ("eth0", errno.EINVAL, "eth0 is not a carp interface"),
        (None, errno.ENODEV, "there is no interface with index 4711"),
    ],
)
def test_no_such_interface(
    host: Host, talk: type[Talk], device: str | None, code: int, words: str
) -> None:
    index = host.link(device).index if device else 4711
    with pytest.raises(NetlinkError) as error:
        talk(host).dump(VHOST_GET, attribute(IFINDEX, struct.pack("=I", index)))
    assert (error.value.errno, error.value.words) == (code, words)


def test_a_long_list_goes_on_where_it_stopped(host: Host, talk: type[Talk]) -> None:
    """255 of them take several reads; those that go meanwhile are no harm."""
    many(host, 255)
    everything = [host.link(f"carp{n}").index for n in range(255)]
    conversation = talk(host)
    assert [u32(answer, IFINDEX) for answer in conversation.dump()] == everything
    # a reader with little room, and a change between its reads
    slow = talk(host, size=4096)
    sequence = slow.genl.send(slow.family.id, VHOST_GET, b"", NLM_F_DUMP)
    parts = [split(slow.genl.socket.recv(4096))]
    host.ip_batch("link del carp40", *(f"link del carp{n}" for n in range(200, 255)))
    while parts[-1][-1][0] != NLMSG_DONE:
        parts.append(split(slow.genl.socket.recv(4096)))
    seen = []
    interrupted = False
    for kind, flags, number, body in [message for part in parts for message in part]:
        assert number == sequence
        if kind == slow.family.id:
            interrupted |= bool(flags & NLM_F_DUMP_INTR)
            seen.append(u32(Answer(body[0], flags, body[4:]), IFINDEX))
    assert len(parts) > 3
    assert seen == sorted(set(seen)), "each once, in order"
    assert set(seen) - {everything[40]} == set(everything[:200]) - {everything[40]}
    assert interrupted, "who asked is told that the list changed"


def is_of_one_piece(
    conversation: Talk, command: int, after: int, meanwhile: Callable[[], object]
) -> bool:
    """Whether the kernel says so of a list that is read in pieces, between the first of
    which something happens."""
    sequence = conversation.genl.send(conversation.family.id, command, b"", NLM_F_DUMP)
    whole = True
    pieces = 0
    while True:
        messages = split(conversation.genl.socket.recv(conversation.genl.size))
        pieces += 1
        for kind, flags, number, _ in messages:
            assert number == sequence
            whole &= not flags & NLM_F_DUMP_INTR
            if kind == NLMSG_DONE:
                assert pieces > 3, "it takes several reads"
                return whole
        if pieces == after:
            meanwhile()


CHANGES = [
    (GROUP_GET, "link set carp3 type carp group new", "a group is made"),
    (GROUP_GET, "link set carp0 type carp -group gaa", "a group goes"),
    (GROUP_GET, "link set carp3 type carp group gba", "one more is in a group"),
    (GROUP_GET, "link set carp1 type carp -group shared", "one less is in a group"),
    (ADDRESS_GET, "addr add 10.9.0.1/32 dev carp3", "an address comes"),
    (ADDRESS_GET, "addr del 10.7.0.5/32 dev carp0", "an address goes"),
    (VHOST_GET, "link set carp3 type carp carpnodes 4:0,250:0", "a virtual host comes"),
    (GROUP_GET, "link add carp4 type carp", "an interface comes"),
]


@pytest.mark.parametrize(
    ("command", "change"), [it[:2] for it in CHANGES], ids=[it[2] for it in CHANGES]
)
def test_a_list_that_changes_is_not_of_one_piece(
    host: Host, talk: type[Talk], command: int, change: str
) -> None:
    """Whoever read a part of it before is told; what is not in the list is no change."""
    letters = string.ascii_lowercase
    members = {"carp0": "a", "carp1": "b", **{f"c{n}": letters[n + 2] for n in range(20)}}
    host.ip_batch(
        *(f"link add c{n} type carp vhid {n + 10} carpdev eth0" for n in range(200)),
        *(f"link add carp{n} type carp vhid {n + 1} carpdev eth0" for n in range(4)),
        *(
            f"link set {name} type carp group {group}"
            for name, first in members.items()
            for group in (f"g{first}{second}" for second in letters[:14])
        ),
        "link set carp1 type carp group shared",
        "link set carp2 type carp group shared",
        *(f"addr add 10.7.{n // 200}.{n % 200}/32 dev carp0" for n in range(1, 2000)),
    )
    conversation = talk(host, size=4096)
    quiet = (
        lambda: host.ip("link", "set", "carp3", "up"),
        lambda: host.ip("addr", "add", "10.8.0.1/24", "dev", "eth0"),
        lambda: host.run("carpctl", "-g", "shared", "carpdemote", "5"),
    )
    for other in quiet:
        assert is_of_one_piece(conversation, command, 1, other)
    assert not is_of_one_piece(conversation, command, 2, lambda: host.ip(*change.split()))
    assert is_of_one_piece(conversation, command, 1, lambda: None), "the next one is"


def test_counters_of_the_namespace(lan: Lan, talk: type[Talk]) -> None:
    c.create(lan.a, vhid=1)
    c.create(lan.a, vhid=2, name="carp1", addresses=("10.0.0.9/24",))
    c.wait_state(lan.a, "master")
    c.wait_state(lan.a, "master", name="carp1")
    time.sleep(3)
    # for a vhid that nobody has: the parent counts it
    lan.client.send_frame(c.Advertisement(vhid=9).frame())
    time.sleep(0.1)
    (answer,) = talk(lan.a).do(STATS_GET)
    nest = Answer(STATS_GET, 0, answer.attributes[STATS])
    counters = {
        kind: struct.unpack("=Q", value)[0] for kind, value in nest.attributes.items() if kind > 1
    }
    assert set(counters) == set(range(2, STATS_MAX + 1))
    shown = [c.stats(lan.a, name) for name in ("carp0", "carp1")]
    sent = sum(each["tx_ipv4"] for each in shown)
    assert sent >= 4
    assert sent <= counters[STATS_TX_IPV4] <= sent + 2
    assert counters[STATS_RX_IPV4] == shown[0]["rx_ipv4"]
    assert counters[11] == 1, "bad vhid"
    (other,) = talk(lan.b).do(STATS_GET)
    nest = Answer(STATS_GET, 0, other.attributes[STATS])
    assert nest.attributes[STATS_TX_IPV4] == bytes(8), "another namespace has its own"


def test_counters_of_each_interface(lan: Lan, talk: type[Talk]) -> None:
    """As `ip -s link show` has them, without those that are 0."""
    c.create(lan.a, vhid=1)
    c.create(lan.a, vhid=2, name="carp1", addresses=("10.0.0.9/24",), up=False)
    lan.a.ip("link", "add", "carp2", "type", "carp")
    c.wait_state(lan.a, "master")
    lan.client.send_frame(c.Advertisement(vhid=9).frame())
    lan.a.ip("link", "set", "carp0", "down")
    index = lan.a.link("carp0").index
    answers = talk(lan.a).dump(STATS_GET)
    assert [answer.attributes[IFNAME] for answer in answers] == [b"carp0\0", b"carp1\0", b"carp2\0"]
    assert u32(answers[0], IFINDEX) == index
    told = [Answer(STATS_GET, 0, answer.attributes[STATS]).attributes for answer in answers]
    shown = c.stats(lan.a)
    assert struct.unpack("=Q", told[0][STATS_TX_IPV4]) == (shown["tx_ipv4"],)
    assert len(told[0]) == sum(value != 0 for value in shown.values())
    one = struct.pack("=Q", 1)
    assert told[1] == {STATS_RX_IPV4: one, 11: one}, "bad vhid, on the parent"
    assert told[2] == {}
    (only,) = talk(lan.a).dump(STATS_GET, attribute(IFINDEX, struct.pack("=I", index)))
    assert u32(only, IFINDEX) == index


# -- what happens


def test_a_hard_cut(lan: Lan, talk: type[Talk]) -> None:
    c.create_pair(lan)
    conversation = talk(lan.b)
    conversation.listen()
    lan.hard_cut(lan.a)
    (event,) = conversation.genl.wait_events(conversation.family, 1)
    assert told(event) == ("backup", "master", "master timed out")
    assert u32(event, IFINDEX) == lan.b.link("carp0").index
    assert event.attributes[IFNAME] == b"carp0\0"
    assert u8(event, VHID) == 1
    assert u32(event, DEMOTE) == 0
    lan.heal(lan.a)
    assert conversation.changes(1) == [("master", "backup", "better master")]


def test_a_bow_out(lan: Lan, talk: type[Talk]) -> None:
    c.create_pair(lan)
    a, b = talk(lan.a), talk(lan.b)
    a.listen()
    b.listen()
    lan.a.ip("link", "set", "carp0", "down")
    assert a.changes(1) == [("master", "init", "stopped")]
    assert b.changes(1) == [("backup", "master", "master bowed out")]


def test_the_administrator(host: Host, talk: type[Talk]) -> None:
    conversation = talk(host)
    conversation.listen()
    c.create(host)
    c.wait_state(host, "master")
    host.ip(*"link set carp0 type carp state backup".split())
    host.ip(*"link set carp0 type carp state master".split())
    host.ip(*f"addr del {VIP}/24 dev carp0".split())
    assert conversation.changes(5) == [
        ("init", "backup", "started"),
        ("backup", "master", "master timed out"),
        ("master", "backup", "administrator"),
        ("backup", "master", "administrator"),
        ("master", "init", "stopped"),
    ]


def test_a_better_master(lan: Lan, talk: type[Talk]) -> None:
    conversation = talk(lan.b)
    conversation.listen()
    c.create(lan.b, advskew=100)
    c.wait_state(lan.b, "master")
    lan.a.sysctl("net.inet.carp.preempt", 1)
    c.create(lan.a)
    assert conversation.changes(3)[2] == ("master", "backup", "better master")


def test_events_stay_in_their_namespace(lan: Lan, talk: type[Talk]) -> None:
    conversation = talk(lan.b)
    conversation.listen()
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    assert conversation.genl.events(conversation.family) == []


def test_a_slow_listener_is_told_that_it_missed_something(host: Host, talk: type[Talk]) -> None:
    conversation = talk(host)
    conversation.genl.socket.setsockopt(1, 8, 1)  # SO_RCVBUF, as little as can be
    conversation.listen()
    c.create(host)
    c.wait_state(host, "master")
    for _ in range(40):
        host.ip(*"link set carp0 type carp state backup".split())
        host.ip(*"link set carp0 type carp state master".split())
    with pytest.raises(OSError) as error:
        while True:
            conversation.genl.socket.recv(1 << 16)
    assert error.value.errno == errno.ENOBUFS


# -- groups


def named(name: str) -> bytes:
    return attribute(GROUP, name.encode() + b"\0")


def step(by: int) -> bytes:
    return attribute(STEP, struct.pack("=i", by))


def members(*answers: Answer) -> list[int]:
    return [struct.unpack("=I", m)[0] for answer in answers for m in answer.all(MEMBER)]


def demotions(events: list[Answer]) -> list[tuple[str, int, int, str]]:
    """Group, counter, step, cause of each event about a group."""
    return [
        (
            event.attributes[GROUP].rstrip(b"\0").decode(),
            u32(event, DEMOTE),
            struct.unpack("=i", event.attributes[STEP])[0],
            event.attributes[CAUSE].rstrip(b"\0").decode(),
        )
        for event in events
        if event.command == DEMOTE_NTF
    ]


def test_groups(host: Host, talk: type[Talk]) -> None:
    conversation = talk(host)
    assert conversation.dump(GROUP_GET) == []
    many(host, 2)
    host.ip(*"link set carp1 type carp group test".split())
    indices = [host.link(name).index for name in ("carp0", "carp1")]
    carp, test = conversation.dump(GROUP_GET)
    assert carp.attributes[GROUP] == b"carp\0"
    assert test.attributes[GROUP] == b"test\0"
    assert members(carp) == indices
    assert members(test) == indices[1:]
    assert u32(test, DEMOTE) == 0
    (alone,) = conversation.do(GROUP_GET, named("test"))
    assert (alone.command, alone.data) == (GROUP_GET, test.data)
    # libraries differ about the zero byte
    assert conversation.do(GROUP_GET, attribute(GROUP, b"test")) == [alone]


def test_a_large_group_comes_in_parts(host: Host, talk: type[Talk]) -> None:
    # one part has room for 500
    number = 1100 if kernel.looks_for_mistakes() else 3000
    host.ip_batch(
        *(f"link add c{n} type carp" for n in range(number)), "link set c7 type carp group test"
    )
    slow = talk(host, size=4096)
    parts = slow.dump(GROUP_GET)
    assert len(parts) > number / 600
    names = [part.attributes[GROUP] for part in parts]
    assert names == [b"carp\0"] * (len(parts) - 1) + [b"test\0"]
    seen = members(*parts[:-1])
    assert seen == sorted(set(seen))
    assert len(seen) == number
    assert members(parts[-1]) == [host.link("c7").index]
    (whole,) = slow.genl.answers(slow.genl.send(slow.family.id, GROUP_GET, named("test"), 4))
    assert members(whole) == members(parts[-1])
    (whole,) = talk(host).do(GROUP_GET, named("carp"))
    assert members(whole) == seen


def test_carpdemote(lan: Lan, talk: type[Talk]) -> None:
    """A demoted master gives way, and whoever listens hears why."""
    c.create_pair(lan)
    conversation = talk(lan.a)
    conversation.listen()
    conversation.do(GROUP_DEMOTE, named("carp"), step(50))
    (vhost,) = conversation.dump()
    assert u32(vhost, DEMOTE) == 50
    events = conversation.genl.wait_events(conversation.family, 2)
    assert demotions(events) == [("carp", 50, 50, "manual")]
    assert told(events[1]) == ("master", "backup", "less demoted master")
    assert u32(events[1], DEMOTE) == 50
    conversation.do(GROUP_DEMOTE, named("carp"), step(-50))
    events = conversation.genl.wait_events(conversation.family, 1)
    assert demotions(events) == [("carp", 0, -50, "manual")]


def test_demotion_that_comes_by_itself(lan: Lan, talk: type[Talk]) -> None:
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    conversation = talk(lan.a)
    conversation.listen()
    lan.cable_pull(lan.a)
    events = conversation.genl.wait_events(conversation.family, 2)
    assert demotions(events) == [("carp", 1, 1, "link:eth0")]
    assert ("master", "init", "stopped") in [told(e) for e in events if e.command == STATE_NTF]
    lan.a.ip(*"link set carp0 type carp group test".split())
    assert demotions(conversation.genl.wait_events(conversation.family, 1)) == [
        ("test", 1, 1, "joined")
    ]
    lan.a.ip(*"link set carp0 type carp -group test".split())
    assert demotions(conversation.genl.wait_events(conversation.family, 1)) == [
        ("test", 0, -1, "left")
    ]
    lan.cable_plug(lan.a)
    c.wait_state(lan.a, "master")
    assert demotions(conversation.genl.events(conversation.family)) == [
        ("carp", 0, -1, "link:eth0")
    ]


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"", errno.EINVAL, "no group is named"),
        (named("carp"), errno.EINVAL, "by how much is not said"),
        (named("carp") + step(129), errno.ERANGE, "at most 128"),
        (named("carp") + step(-129), errno.ERANGE, "at most 128"),
        (named("carp") + step(-(1 << 31)), errno.ERANGE, "at most 128"),
        (named("carp") + step(-1), errno.ERANGE, "carpdemote has added less"),
        (named("nobody") + step(1), errno.ENOENT, "no carp interface is in a group nobody"),
        (named("test1") + step(1), errno.EINVAL, "the last not a digit"),
        (named("a/b") + step(1), errno.EINVAL, "visible characters"),
        (named("") + step(1), errno.EINVAL, "visible characters"),
        (named("abcdefghijklmnop") + step(1), errno.ERANGE, "Attribute failed policy validation"),
        (attribute(GROUP, b"") + step(1), errno.ERANGE, "Attribute failed policy validation"),
        (named("carp") + attribute(STEP, b"\1"), errno.EINVAL, "invalid attribute length"),
        (attribute(VHID, b"\1"), errno.EINVAL, "Attribute failed policy validation"),
    ],
)
def test_a_wrong_carpdemote(
    host: Host, talk: type[Talk], body: bytes, code: int, words: str
) -> None:
    many(host, 1)
    conversation = talk(host)
    with pytest.raises(NetlinkError) as error:
        conversation.do(GROUP_DEMOTE, body)
    assert words in error.value.words
    assert error.value.errno == code
    (group,) = conversation.do(GROUP_GET, named("carp"))
    assert u32(group, DEMOTE) == 0


def test_the_counter_stays_in_its_range(host: Host, talk: type[Talk]) -> None:
    many(host, 1)
    conversation = talk(host)
    conversation.do(GROUP_DEMOTE, named("carp"), step(128))
    conversation.do(GROUP_DEMOTE, named("carp"), step(127))
    with pytest.raises(NetlinkError, match="between 0 and 255"):
        conversation.do(GROUP_DEMOTE, named("carp"), step(1))
    (group,) = conversation.do(GROUP_GET, named("carp"))
    assert u32(group, DEMOTE) == 255


HERE = str(Path(__file__).parent)
DEMOTE_SCRIPT = (
    f"import sys; sys.path.insert(0, {HERE!r}); from lib.genl import *; g = Genl();"
    f"g.do(g.family('carp').id, {GROUP_DEMOTE}, {named('carp')!r}, {step(1)!r}); print('done')"
)


def test_who_may_demote(host: Host) -> None:
    """Not anybody; but root of a user namespace may in a network of its own."""
    many(host, 1)
    nobody = f"import os; os.setgid(65534); os.setuid(65534); {DEMOTE_SCRIPT}"
    refused = host.run("python3", "-c", nobody, check=False)
    assert "Operation not permitted" in refused.stderr
    if not Path("/proc/self/ns/user").exists():
        # the kernel that looks for mistakes has none
        return
    unshare = ("unshare", "--user", "--map-root-user")
    script = shlex.quote(DEMOTE_SCRIPT)
    own = f"ip link add carp0 type carp vhid 1 && python3 -c {script}"
    assert host.run(*unshare, "--net", "sh", "-c", own).stdout == "done\n"
    # in that of others it may not
    refused = host.run(*unshare, "python3", "-c", DEMOTE_SCRIPT, check=False)
    assert "Operation not permitted" in refused.stderr


# -- who may, and what is refused


def test_anybody_may_look(host: Host) -> None:
    many(host, 1)
    here = str(Path(__file__).parent)
    script = (
        f"import os, sys; sys.path.insert(0, {here!r}); os.setgid(65534); os.setuid(65534);"
        "from lib.genl import Genl; g = Genl(); f = g.family('carp');"
        "print(len(g.dump(f.id, 1)), len(g.do(f.id, 4))); g.join(f.groups['events'])"
    )
    assert host.run("python3", "-c", script).stdout.split() == ["1", "1"]


@pytest.mark.parametrize(
    ("command", "is_dump", "body", "words"),
    [
        (VHOST_GET, True, attribute(IFINDEX, b"\1"), "invalid attribute length"),
        (VHOST_GET, True, attribute(IFINDEX, bytes(5)), "invalid attribute length"),
        (VHOST_GET, True, attribute(IFNAME, b"carp0\0"), "Unknown attribute type"),
        (VHOST_GET, True, attribute(0, b""), "Unknown attribute type"),
        (STATS_GET, False, attribute(IFINDEX, bytes(4)), "Unknown attribute type"),
        (STATS_GET, False, b"\0", "bytes leftover after parsing attributes"),
    ],
)
def test_a_wrong_attribute(
    host: Host, talk: type[Talk], command: int, is_dump: bool, body: bytes, words: str
) -> None:
    many(host, 1)
    conversation = talk(host)
    with pytest.raises(NetlinkError) as error:
        (conversation.dump if is_dump else conversation.do)(command, body)
    assert words in error.value.words


@pytest.mark.parametrize("command", [0, STATE_NTF, DEMOTE_NTF, 7, 255])
@pytest.mark.parametrize("flags", [0, NLM_F_DUMP])
def test_no_such_operation(host: Host, talk: type[Talk], command: int, flags: int) -> None:
    conversation = talk(host)
    with pytest.raises(NetlinkError) as error:
        conversation.genl.answers(
            conversation.genl.send(conversation.family.id, command, b"", flags)
        )
    assert error.value.errno == errno.EOPNOTSUPP


def test_random_requests(host: Host, talk: type[Talk]) -> None:
    """Any bytes at all: answered or refused, and the family serves on."""
    many(host, 3)
    conversation = talk(host)
    genl, family = conversation.genl, conversation.family
    answered = 0
    for round_ in range(2000):
        seed = os.urandom(8)
        body = random_attributes(seed, 15)
        flags = NLM_F_DUMP if round_ % 2 else 4
        command = 1 + round_ % 4
        try:
            genl.answers(genl.send(family.id, command, body, flags))
            answered += 1
        except NetlinkError as error:
            assert error.errno in (
                errno.EINVAL, errno.ERANGE, errno.ENODEV, errno.EOPNOTSUPP, errno.ENOENT,
            ), (seed, error)  # fmt: skip
    assert len(conversation.dump()) == 3
    assert answered < 2000


# -- its coming and going


def test_the_module_is_loaded_for_who_asks() -> None:
    aliases = run(("modinfo", "-F", "alias", file("carp"))).stdout.split()
    assert "net-pf-16-proto-16-family-carp" in aliases


def test_rmmod_while_somebody_listens_and_lists(lan: Lan, talk: type[Talk]) -> None:
    """A listener holds nothing; a list that was not read to its end does, until its
    socket goes."""
    c.create_pair(lan)
    listener, reader = talk(lan.a), talk(lan.a, size=4096)
    listener.listen()
    lan.a.ip_batch(
        *(f"link add c{n} type carp vhid {n} carpdev eth0" for n in range(2, 200)),
    )
    reader.genl.send(reader.family.id, VHOST_GET, b"", NLM_F_DUMP)
    with pytest.raises(CommandFailed, match="in use"):
        rmmod("carp")
    reader.genl.socket.close()
    rmmod("carp")
    try:
        with pytest.raises(NetlinkError) as error:
            open_on(lan.a).family("carp")
        assert error.value.errno == errno.ENOENT
        assert [told(e)[1] for e in listener.genl.events(listener.family)][-1:] == ["init"]
    finally:
        insmod("carp")
