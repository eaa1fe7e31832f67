# SPDX-License-Identifier: GPL-2.0
"""carpctl doctor: what is wrong is said in a sentence, and nothing where all is well."""

from __future__ import annotations

import json
import time

import pytest
from lib import carp as c
from lib import pfsync as p
from lib.host import Host
from lib.lan import VIP, VIP6, Lan
from lib.pair import NAT, SERVER, Datagrams, Pair
from lib.process import run
from lib.world import World

pytestmark = pytest.mark.usefixtures("pfsync")

DROP = """
table inet filter {
    chain input {
        type filter hook input priority 0; policy accept;
        meta l4proto 112 drop
    }
}
"""


def findings(host: Host) -> dict[str, dict[str, str]]:
    """By check; its exit status says whether there are any."""
    done = host.run("carpctl", "doctor", "--json", check=False)
    found = json.loads(done.stdout)
    assert done.returncode == int(found != []), done
    checks = {it["check"]: it for it in found}
    assert len(checks) == len(found), found
    return checks


def drop_on_switch(lan: Lan, rule: str) -> None:
    rules = "add table bridge t; add chain bridge t f { type filter hook forward priority 0; };"
    lan.switch.run("nft", f"{rules} add rule bridge t f {rule} drop")


def masters(lan: Lan) -> None:
    for host in (lan.a, lan.b):
        c.wait_state(host, "master")


# -- nothing is wrong


def test_a_healthy_pair(lan: Lan) -> None:
    """Nor is it after a handover and back, with pfsync beside it."""
    for host in (lan.a, lan.b):
        p.create(host)
    c.create_pair(lan, preempt=True, addresses=(f"{VIP}/24", f"{VIP6}/64"))
    for host in (lan.a, lan.b):
        p.wait_bulk(host)
    for _ in range(2):
        for host in (lan.a, lan.b):
            assert findings(host) == {}
            told = host.run("carpctl", "doctor").stdout
            assert told == "Nothing is wrong with 1 carp and 1 pfsync interfaces.\n"
        lan.hard_cut(lan.a)
        c.wait_state(lan.b, "master")
        lan.heal(lan.a)
        c.wait_state(lan.b, "backup")
        time.sleep(3)
    ruleset = lan.a.run("nft", "list", "ruleset").stdout
    assert "carpctl" not in ruleset


def test_nothing_is_there(host: Host) -> None:
    assert findings(host) == {}


# -- between hosts


def test_another_digest(lan: Lan) -> None:
    c.create(lan.a)
    c.create(lan.b, addresses=(f"{VIP}/24", "10.0.0.9/24"), advskew=100)
    masters(lan)
    time.sleep(2)
    for host, other, addresses in (
        (lan.a, lan.b, VIP),
        (lan.b, lan.a, f"{VIP}, 10.0.0.9"),
    ):
        found = findings(host)
        assert set(found) == {"digest-differs"}
        what = found["digest-differs"]["what"]
        assert other.address in what and what.endswith(addresses), what
    done = lan.a.run("carpctl", "doctor", check=False)
    assert done.stdout.startswith("carp0: 10.0.0.3 advertises vhid 1 with another digest")
    assert done.stderr == "carpctl: one thing is wrong.\n"


def test_a_rule_that_drops(lan: Lan) -> None:
    """It is named, and the other host says that it is not heard."""
    lan.b.run("nft", "-f", "-", input=DROP)
    c.create(lan.a)
    c.create(lan.b, advskew=100)
    masters(lan)
    time.sleep(2)
    found = findings(lan.b)
    assert set(found) == {"dropped", "rule"}
    assert lan.a.address in found["dropped"]["what"]
    rule = 'the rule "meta l4proto vrrp drop" of chain input of table inet filter'
    assert found["rule"]["what"] == f"what drops them is {rule}"
    assert "carpctl" not in lan.b.run("nft", "list", "ruleset").stdout
    found = findings(lan.a)
    assert set(found) == {"two-masters"}
    assert "does not hear" in found["two-masters"]["what"]
    # the advice is a command that helps
    advice = findings(lan.b)["dropped"]["advice"]
    lan.b.run(*advice.partition(": ")[2].replace("{", "{ ").replace("}", " }").split())
    c.wait_state(lan.b, "backup")
    for host in (lan.a, lan.b):
        assert findings(host) == {}


def test_a_reverse_path_filter(lan: Lan) -> None:
    """The kernel's lets multicast pass, and unicast peers' advertisements not."""
    lan.b.ip("link", "add", "dummy0", "up", "type", "dummy")
    lan.b.ip("route", "add", f"{lan.a.address}/32", "dev", "dummy0")
    for name in ("all", "eth0"):
        lan.b.sysctl(f"net.ipv4.conf.{name}.rp_filter", 1)
    c.create(lan.a, f"carppeer {lan.b.address}")
    c.create(lan.b, f"carppeer {lan.a.address}", advskew=100)
    masters(lan)
    time.sleep(2)
    found = findings(lan.b)
    assert set(found) == {"dropped", "reverse-path"}


def test_a_switch_that_drops(lan: Lan) -> None:
    """Neither hears the other; ARP finds out, and whether that is all."""
    drop_on_switch(lan, "ip protocol 112")
    c.create(lan.a)
    c.create(lan.b, advskew=100)
    masters(lan)
    for host in (lan.a, lan.b):
        found = findings(host)
        assert set(found) == {"two-masters"}
        assert "answers for 10.0.0.1 with the virtual MAC" in found["two-masters"]["what"]
        assert "a hypervisor" in found["two-masters"]["advice"]
        host.run("ping", "-c", "1", lan.client.address)
        found = findings(host)
        assert set(found) == {"two-masters"}
        assert "frames for the virtual MAC do come in" in found["two-masters"]["advice"]


@pytest.mark.parametrize("which", ["daddr", "saddr"])
def test_a_hypervisor_that_filters(lan: Lan, which: str) -> None:
    """Frames for the virtual MAC do not come, or those from it do not go: a neighbour
    answers one question and not the other."""
    virtual = ":".join(f"{byte:02x}" for byte in c.virtual_mac(1))
    c.create_pair(lan)
    for host in (lan.a, lan.b):
        host.run("ping", "-c", "1", lan.client.address)
        assert findings(host) == {}
    drop_on_switch(lan, f"ether {which} {virtual}")
    time.sleep(5)
    expected = {"daddr": (lan.a,), "saddr": (lan.a, lan.b)}[which]
    for host in (lan.a, lan.b):
        found = findings(host)
        assert set(found) == ({"parent-filters"} if host in expected else set())
        if found:
            told = found["parent-filters"]
            assert told["about"] == "eth0" and "for the virtual MAC of carp0" in told["what"]
            assert "port security" in told["advice"]


@pytest.mark.parametrize("mode", ["bridge", "private", "passthru"])
def test_a_parent_on_a_macvlan(host: Host, mode: str) -> None:
    host.ip_batch(
        f"link add link eth0 name m0 type macvlan mode {mode}",
        "link set m0 up",
        "link add link m0 name v7 type vlan id 7",
        "link set v7 up",
    )
    c.create(host, carpdev="v7")
    found = findings(host)
    assert set(found) == ({"parent-filters"} if mode != "passthru" else set())
    if found:
        assert "it stands on m0, a macvlan" in found["parent-filters"]["what"]


def test_a_locked_port(lan: Lan) -> None:
    """A bridge that lets in only whom it knows."""
    lan.b.ip_batch(
        "link add br0 up type bridge",
        "addr flush dev eth0",
        "link set eth0 master br0",
        f"addr add {lan.b.address}/24 dev br0",
    )
    c.create(lan.a)
    c.create(lan.b, advskew=100, carpdev="br0")
    c.wait_state(lan.a, "master")
    c.wait_state(lan.b, "backup")
    time.sleep(2)
    assert findings(lan.b) == {}
    lan.b.run("bridge", "link", "set", "dev", "eth0", "learning", "off", "locked", "on")
    lan.b.run("bridge", "fdb", "flush", "dev", "br0")
    c.wait_state(lan.b, "master")
    found = findings(lan.b)
    assert set(found) == {"peer-silent"}
    assert "bridge link set dev eth0 locked off" in found["peer-silent"]["advice"]
    lan.b.run("bridge", "link", "set", "dev", "eth0", "locked", "off", "learning", "on")
    c.wait_state(lan.b, "backup")
    assert findings(lan.b) == {}


def test_an_address_that_is_taken(lan: Lan) -> None:
    lan.client.ip("addr", "add", f"{VIP}/32", "dev", "eth0")
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    found = findings(lan.a)
    assert set(found) == {"address-taken"}
    assert lan.client.mac in found["address-taken"]["what"]


def test_a_peer_that_is_gone(lan: Lan) -> None:
    c.create_pair(lan)
    lan.hard_cut(lan.a)
    c.wait_state(lan.b, "master")
    found = findings(lan.b)
    assert set(found) == {"peer-silent"}
    assert lan.a.address in found["peer-silent"]["what"]
    lan.heal(lan.a)
    c.wait_state(lan.b, "backup")
    time.sleep(5)
    assert findings(lan.a) == {} == findings(lan.b), "a backup is silent, and answers ARP"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("link set eth0 down",), "its parent eth0 is down"),
        (("addr flush dev carp0",), "it has no address to share"),
        (("link set carp0 type carp carpdev none",), "it has no parent"),
        (("link del eth1",), None),
    ],
)
def test_what_does_not_run(lan: Lan, words: tuple[str, ...], what: str | None) -> None:
    c.create(lan.a)
    c.wait_state(lan.a, "master")
    lan.a.ip_batch("link add eth1 type veth peer name eth2", "link set eth2 up", "link set eth1 up")
    if what is None:
        c.create(lan.a, name="carp1", vhid=2, carpdev="eth1", addresses=("10.7.0.1/24",))
        what = "its parent eth1 is gone"
    lan.a.ip_batch(*words)
    assert findings(lan.a)["does-not-run"]["what"] == what


def test_who_is_demoted(lan: Lan) -> None:
    c.create_pair(lan)
    lan.b.run("carpctl", "demote", "check:web", "--by", "7", "--reason", "no answer")
    found = findings(lan.b)
    assert set(found) == {"demoted"}
    assert found["demoted"]["what"] == "it is demoted by 7: check:web 7 (no answer)"


def test_rules_about_a_parents_addresses(lan: Lan) -> None:
    c.create_pair(lan)
    chain = "add table inet t; add chain inet t p { type filter hook prerouting priority 0; };"
    rule = "fib daddr . iif type != { local, broadcast, multicast } drop"
    lan.a.run("nft", f"{chain} add rule inet t p {rule}")
    found = findings(lan.a)
    assert set(found) == {"fib"} and "fib daddr . iif type" in found["fib"]["what"]


def test_anybody(lan: Lan) -> None:
    """Who is not root is told what is left out."""
    c.create_pair(lan)
    lan.a.run("carpctl", "demote", "x")
    command = ["setpriv", "--reuid=65534", "--clear-groups", "carpctl", "doctor"]
    done = lan.a.run(*command, check=False)
    assert done.returncode == 1 and "demoted by 1: x 1" in done.stdout
    assert "only root can look" in done.stderr


# -- pfsync


def test_a_peer_that_does_not_confirm(world: World) -> None:
    pair = Pair(world)
    flow = Datagrams(pair.client, pair.server, SERVER, 5000)
    flow.exchange()
    pair.wait_same(proto=17)
    assert findings(pair.a) == {}
    pair.cut_off()
    second = Datagrams(pair.client, pair.server, SERVER, 5001)
    for _ in range(4):
        second.exchange()
        time.sleep(3)
    found = findings(pair.a)
    assert set(found) == {"pfsync-silent"}
    assert pair.b.address in found["pfsync-silent"]["what"]


def test_pfsync_that_is_dropped(world: World) -> None:
    pair = Pair(world)
    pair.b.run("nft", "-f", "-", input=DROP.replace("112", "240"))
    flows = [Datagrams(pair.client, pair.server, SERVER, port) for port in range(5000, 5020)]
    for flow in flows:
        flow.exchange()
    # what is not confirmed is sent again
    found = findings(pair.b)
    assert set(found) == {"dropped", "rule"}
    assert "l4proto 240 drop" in found["rule"]["what"]
    assert pair.a.address in found["dropped"]["what"] and "eth2" in found["dropped"]["what"]


def test_states_that_nobody_would_translate(world: World) -> None:
    pair = Pair(world, rules=NAT)
    Datagrams(pair.client, pair.server, SERVER, 5000).exchange()
    pair.wait_same(proto=17)
    assert findings(pair.b) == {}
    pair.b.run("nft", "flush", "ruleset")
    found = findings(pair.b)
    assert set(found) == {"no-nat-chain"} and "1 translated" in found["no-nat-chain"]["what"]


def test_pfsync_goes_nowhere(host: Host) -> None:
    p.create(host)
    host.ip("link", "set", "pfsync0", "type", "pfsync", "syncdev", "none")
    assert set(findings(host)) == {"no-syncdev"}


def test_pfsync_without_link(lan: Lan) -> None:
    p.create(lan.a)
    lan.cable_pull(lan.a)
    time.sleep(2)
    assert "no-link" in findings(lan.a)


def test_a_table_that_is_full(world: World) -> None:
    pair = Pair(world)
    for port in range(5000, 5010):
        Datagrams(pair.client, pair.server, SERVER, port).exchange()
    before = run(("sysctl", "-n", "net.netfilter.nf_conntrack_max")).stdout.strip()
    try:
        run(("sysctl", "-qw", "net.netfilter.nf_conntrack_max=10"))
        assert "table-full" in findings(pair.a)
    finally:
        run(("sysctl", "-qw", f"net.netfilter.nf_conntrack_max={before}"))
