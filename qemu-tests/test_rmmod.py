# SPDX-License-Identifier: GPL-2.0
"""Taking everything away at any moment, and that nothing is left of it.

What is repeated hundreds of times is done by system calls, not by programs: to run
one costs more than all that is tested.
"""

from __future__ import annotations

import ctypes
import os
import random
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lib import carp as c
from lib import kernel
from lib.clock import wait_for
from lib.host import Host
from lib.lan import VIP, Lan
from lib.modules import file, is_loaded
from lib.process import run
from lib.rtnl import IFF_UP, RTM_NEWLINK, NetlinkError, attribute, link_message
from lib.world import World

ROUNDS = kernel.times(200)

RTM_NEWADDR = 20
IFA_LOCAL = 2
# include/uapi/linux/if_carp.h
VHID, CARPDEV, ADVBASE, ADVSKEW = range(1, 5)

SYS_DELETE_MODULE, SYS_FINIT_MODULE = 176, 313
libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: object) -> None:
    if libc.syscall(number, *arguments):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def insmod() -> None:
    with open(file("carp"), "rb") as f:
        call(SYS_FINIT_MODULE, f.fileno(), b"", 0)


def rmmod() -> None:
    """As rmmod(8) does: an error if anybody holds the module."""
    call(SYS_DELETE_MODULE, b"carp", os.O_NONBLOCK)


def add(host: Host, name: str, *, vhid: int = 0, parent: str = "", advskew: int = 1) -> None:
    """Makes an interface whose election takes some 75 ms: advbase 0."""
    data = [attribute(ADVBASE, b"\0"), attribute(ADVSKEW, bytes([advskew]))]
    if vhid:
        data.append(attribute(VHID, bytes([vhid])))
    if parent:
        data.append(attribute(CARPDEV, struct.pack("=I", host.link(parent).index)))
    host.rtnl.add_link(name, "carp", *data)


def start(host: Host, name: str, address: str) -> None:
    """Gives an interface its address and sets it up."""
    index = host.link(name).index
    body = struct.pack("=BBBBI", socket.AF_INET, 24, 0, 0, index)
    host.rtnl.request(RTM_NEWADDR, body + attribute(IFA_LOCAL, socket.inet_aton(address)), 0x400)
    host.rtnl.request(RTM_NEWLINK, link_message(index, IFF_UP, IFF_UP))


def state(host: Host, name: str) -> str:
    return c.state(host, name)


def parent_is_as_before(host: Host, device: str = "eth0") -> None:
    """No receive handler, no filter, no group, no word of us is left."""
    assert host.show(device)["promiscuity"] == 0, f"{device} on {host} is promiscuous"
    groups = host.ip_json("maddr", "show", "dev", device)[0]["maddr"]
    assert c.GROUP not in [group.get("address") for group in groups]
    assert not any("5e:00:01" in group.get("link", "") for group in groups)
    upper = host.run_with_sysfs("ls", f"/sys/class/net/{device}").stdout
    assert "upper_" not in upper
    host.ip("link", "add", "br9", "type", "bridge")
    host.ip("link", "set", device, "master", "br9")
    host.ip("link", "del", "br9")
    with host.inside():
        assert not Path("/proc/sys/net/inet").exists(), "a sysctl is left"


def test_rmmod_at_any_moment(make_lan: Callable[..., Lan], world: World) -> None:
    """Interfaces in every state, in several namespaces, with packets coming in and
    timers about to fire; each round at another moment of all that."""
    lan = make_lan(2)
    other = world.host("other")
    other.ip_batch("link add eth0 arp on type dummy", "link set eth0 up")
    pinger = lan.client.ping(VIP, interval=0.002)
    flood = c.Advertisement(vhid=9, advbase=1).frame()
    seen: set[str] = set()
    for round_ in range(ROUNDS):
        insmod()
        add(lan.a, "carp0", vhid=1, parent="eth0")
        add(lan.b, "carp0", vhid=1, parent="eth0", advskew=2)
        for host in (lan.a, lan.b):
            start(host, "carp0", VIP)
        add(other, "carp0", vhid=1, parent="eth0")
        start(other, "carp0", VIP)
        add(lan.b, "carp1", vhid=9, parent="eth0", advskew=254)
        start(lan.b, "carp1", "10.0.0.9")
        add(lan.a, "novhid", parent="eth0")
        start(lan.a, "novhid", "10.0.0.7")
        add(lan.a, "noparent", vhid=5)
        start(lan.a, "noparent", "10.0.0.5")
        add(lan.a, "down", vhid=6, parent="eth0")
        if round_ % 3 == 0:
            lan.client.send_frame(flood)
        # 0-110 ms, in 200 steps, each once; advertisements are 4 ms apart
        time.sleep(round_ * 37 % ROUNDS * 0.11 / ROUNDS)
        seen |= {state(lan.a, "carp0") + " a", state(lan.b, "carp0") + " b"}
        seen |= {state(lan.a, name) for name in ("novhid", "noparent", "down")}
        lan.client.send_frame(flood)
        rmmod()
        assert not is_loaded("carp")
        with pytest.raises(NetlinkError):
            lan.a.link("carp0")
    pinger.stop()
    moments = {"master a", "backup b", "init"}
    if kernel.keeps_time():
        # elsewhere a is master before anybody can look
        moments.add("backup a")
    assert moments <= seen, "the moments differed"
    parent_is_as_before(lan.a)
    parent_is_as_before(lan.b)
    parent_is_as_before(other)


def test_rmmod_while_others_make_interfaces(world: World) -> None:
    """Whoever is in the middle of making one gets it or an error, and that is all. They
    cannot keep rmmod waiting."""
    hosts = world.make_hosts("a", "b")
    loop = "while :; do ip link add carp0 type carp vhid 1 carpdev eth0; ip link del carp0; done"
    for host in hosts:
        host.ip_batch("link add eth0 arp on type dummy", "link set eth0 up")
        host.spawn("sh", "-c", f"({loop}) 2>/dev/null")
    dice = random.Random(1)
    longest = 0.0
    for _ in range(kernel.times(30)):
        insmod()
        time.sleep(dice.random() * 0.05)
        start_of_it = time.monotonic()
        rmmod()
        longest = max(longest, time.monotonic() - start_of_it)
    assert not is_loaded("carp")
    assert longest < kernel.work(0.3e9) / 1e9


def test_rmmod_with_what_stands_on_an_interface(lan: Lan) -> None:
    """A VLAN and a macvlan on carp0, a VRF over it, routes and sockets through it."""
    run(("insmod", file("carp")))
    c.create(lan.a)
    lan.a.ip_batch(
        "link add link carp0 name v7 type vlan id 7",
        "link add link carp0 name m0 type macvlan mode bridge",
        "link set v7 up",
        "link set m0 up",
        "addr add 10.7.0.1/24 dev v7",
        "route add 10.8.0.0/24 via 10.0.0.100 dev carp0",
        "neigh add 10.0.0.200 lladdr 02:00:00:00:00:c8 dev carp0",
    )
    c.wait_state(lan.a, "master")
    with lan.a.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((VIP, 80))
        listener.listen()
        with lan.client.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(2)
            client.connect((VIP, 80))
            capture = lan.a.capture("carp0")
            client.send(b"x" * 1000)
            assert capture.packets()
            run(("rmmod", "carp"))
    parent_is_as_before(lan.a)


def test_the_module_can_be_removed_while_namespaces_die(world: World) -> None:
    """Taking a namespace apart happens in the background."""
    for _ in range(5):
        insmod()
        inner = World()
        hosts = inner.make_hosts("x", "y")
        for host in hosts:
            host.ip_batch("link add eth0 arp on type dummy", "link set eth0 up")
            add(host, "carp0", vhid=1, parent="eth0")
            start(host, "carp0", VIP)
        for host in hosts:
            host.close()
        run(("ip", "-batch", "-"), input="netns del x\nnetns del y\n")
        inner.hosts.clear()
        rmmod()
        inner.close()


# -- memory


def memory() -> dict[str, int]:
    """Kilobytes that the kernel has for itself, and will not give back."""
    # a look at it has the processors' own shares counted in
    Path("/proc/sys/vm/stat_refresh").read_text()
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return {
        name: int(fields[name].split()[0])
        for name in ("SUnreclaim", "Percpu", "VmallocUsed", "KernelStack")
    }


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in before}


def repeat(what: Callable[[], None], times: int) -> dict[str, int]:
    """Does it so often, and tells by how many kilobytes the kernel has grown over the
    second half: in the first its caches fill."""
    for _ in range(times):
        what()
    time.sleep(1)
    middle = memory()
    for _ in range(times):
        what()
    time.sleep(1)
    return grown(middle, memory())


@pytest.mark.figures
@pytest.mark.usefixtures("carp")
def test_memory_does_not_grow_with_interfaces(
    lan: Lan, figure: Callable[[str, float, str], None]
) -> None:
    """Made, configured, master, changed, deleted: 200 times, and 200 before."""

    def once() -> None:
        add(lan.a, "carp0", vhid=1, parent="eth0")
        start(lan.a, "carp0", VIP)
        time.sleep(0.1)
        assert state(lan.a, "carp0") == "master"
        lan.a.rtnl.change_link("carp0", "carp", attribute(VHID, b"\2"))
        lan.a.rtnl.delete_link("carp0")

    growth = repeat(once, ROUNDS)
    figure("slab after 200 interfaces made and deleted", growth["SUnreclaim"], "kB more")
    # one forgotten allocation of 1 kB each would be 200
    assert max(growth.values()) < 150, f"kB more than before: {growth}"


@pytest.mark.figures
def test_memory_does_not_grow_with_rmmod(
    world: World, figure: Callable[[str, float, str], None]
) -> None:
    host = world.host("a")
    host.ip_batch("link add eth0 arp on type dummy", "link set eth0 up")

    def once() -> None:
        insmod()
        add(host, "carp0", vhid=1, parent="eth0")
        start(host, "carp0", VIP)
        rmmod()

    growth = repeat(once, 50)
    figure("slab after the module was loaded 50 times", growth["SUnreclaim"], "kB more")
    assert max(growth.values()) < 150, f"kB more than before: {growth}"


def test_a_parent_waits_for_nobody(lan: Lan) -> None:
    """Whatever was done with it, it can be unregistered at once: no reference is left."""
    run(("insmod", file("carp")))
    c.create(lan.a)
    c.create(lan.a, vhid=2, name="carp1", addresses=("10.0.0.8/24",))
    c.wait_state(lan.a, "master")
    lan.a.ip(*"link set carp0 type carp vhid 3".split())
    lan.a.ip("link", "del", "carp1")
    run(("rmmod", "carp"))
    begin = time.monotonic()
    lan.a.ip("link", "del", "eth0")
    assert time.monotonic() - begin < 1
    wait_for(lambda: not is_loaded("carp"), 1, "carp is not loaded")
