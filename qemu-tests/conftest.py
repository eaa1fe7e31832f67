# SPDX-License-Identifier: GPL-2.0
"""Fixtures of the tests that run in a guest, and the rules that hold for all.

After every test what it made is taken apart, and the kernel's log is read: a
complaint fails that very test.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lib import clock, kernel, kmsg
from lib.host import Host
from lib.lan import Lan
from lib.modules import insmod, rmmod, rmmod_unused
from lib.process import run
from lib.recipes import Box
from lib.world import World

log_key = pytest.StashKey[kmsg.Kmsg]()


# -- the rules


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--short",
        action="store_true",
        help="of a test with several parameters the first: the others take other values"
        " through the same functions",
    )
    parser.addoption("--seed", type=int, default=1, help="the first seed of random tests")
    parser.addoption(
        "--soak", type=float, default=60, help="for how many seconds test_soak goes on"
    )
    parser.addoption("--seeds", type=int, default=1, help="how many seeds they take in turn")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A random test takes a seed, which is in its name."""
    if "seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("--seed")
        seeds = range(first, first + metafunc.config.getoption("--seeds"))
        metafunc.parametrize("seed", seeds, ids=[f"seed{number}" for number in seeds])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What cannot be shown here is left out: without virtual time the tests marked
    "virtual", with one processor those marked "smp", on a kernel that looks for mistakes
    those marked "figures", "stock" or "programs", without Secure Boot those marked
    "secure_boot"."""
    unfit = set()
    if not clock.is_virtual():
        unfit.add("virtual")
    if os.cpu_count() == 1:
        unfit.add("smp")
    if kernel.looks_for_mistakes():
        unfit |= {"figures", "stock", "programs"}
    if not kernel.is_locked_down():
        unfit.add("secure_boot")
    left_out = [item for item in items if unfit & {mark.name for mark in item.iter_markers()}]
    if config.getoption("--short"):
        chosen = kernel.first_of_each(item.nodeid for item in items if item not in left_out)
        left_out = [item for item in items if item.nodeid not in chosen]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    kmsg.note(f"--- {item.nodeid}")
    item.stash[log_key] = kmsg.Kmsg()
    try:
        return (yield)
    finally:
        item.stash[log_key].close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """After all fixtures of the test are gone: what does the kernel say?"""
    yield
    log = item.stash[log_key]
    complaints = log.complaints()
    if complaints:
        pytest.fail(
            f"the kernel complained: {complaints[0]}\n" + "\n".join(log.lines), pytrace=False
        )


# -- the report: run-guest delivers what is written to carp.progress, so that a
# guest which dies still leaves behind what it was doing


class Progress:
    """Writes "start TEST", then "passed COST TEST" or "failed COST TEST", the cost as
    lib.clock.host_cost() has it."""

    def __init__(self) -> None:
        try:
            self._file = open("/dev/virtio-ports/carp.progress", "w", buffering=1)
        except OSError:
            self._file = None
        self._cost = 0.0
        self._failed = False

    def write(self, line: str) -> None:
        if self._file:
            self._file.write(line + "\n")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._cost = clock.host_cost()
        self._failed = False
        self.write(f"start {nodeid}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # nothing is skipped here: who needs more than there is has failed
        self._failed = self._failed or report.outcome != "passed"

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        outcome = "failed" if self._failed else "passed"
        self.write(f"{outcome} {clock.host_cost() - self._cost:.2f} {nodeid}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.write(f"failed 0 {report.nodeid}")

    def pytest_sessionfinish(self) -> None:
        self.write("end")


figures: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    # the pytest that a test of the harness starts is none of the host's business
    if not os.environ.get("CARP_INNER"):
        config.pluginmanager.register(Progress())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if figures:
        terminalreporter.section("figures")
    for figure in figures:
        terminalreporter.write_line(figure)


# -- the fixtures


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Makes hosts, cables and programs; takes them away after the test."""
    for modules in ("carp", "pfsync"):
        if modules in request.fixturenames:
            # loaded before the first host comes and unloaded after the last has gone
            request.getfixturevalue(modules)
    world = World()
    try:
        yield world
    finally:
        world.close()


@pytest.fixture
def make_lan(world: World) -> Callable[..., Lan]:
    """lib.lan.Lan with as many hosts as are asked for."""
    return lambda hosts=2, **options: Lan(world, hosts, **options)


@pytest.fixture
def lan(make_lan: Callable[..., Lan]) -> Lan:
    """Two hosts, a and b, and a client on one switch."""
    return make_lan()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """A service manager, to which daemons say that they are ready."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "manager"))
        manager.settimeout(10)
        yield manager


@pytest.fixture
def boxes(lan: Lan, tmp_path: Path) -> list[Box]:
    """a, b and the client with files of their own, for docs/recipes.md."""
    return [Box(host, tmp_path) for host in (*lan.hosts, lan.client)]


@pytest.fixture
def host(world: World) -> Host:
    """One with two Ethernet interfaces that are connected to nothing; eth0 has an address."""
    host = world.host("a")
    host.ip_batch(
        "link add eth0 arp on type dummy",
        "link add eth1 arp on type dummy",
        "link set eth0 up",
        "link set eth1 up",
        "addr add 10.0.0.2/24 dev eth0",
    )
    return host


@pytest.fixture
def carp() -> Iterator[None]:
    """carp.ko is loaded, and is unloaded after the hosts of the test are gone."""
    insmod("carp")
    yield
    if os.path.exists("/sys/module/carp"):
        rmmod("carp")


@pytest.fixture
def pfsync(carp: None) -> Iterator[None]:
    """carp.ko and what connects it to conntrack, as `carp`."""
    # a kernel that has them built in has no modules to be loaded
    run(("modprobe", "-qa", "nf_nat", "nf_conntrack_netlink"), check=False)
    insmod("pfsync_conntrack")
    yield
    # first, with all interfaces: a test that failed may have left a socket, and with it a
    # namespace in which one is
    rmmod("carp")
    rmmod_unused("pfsync_conntrack")


@pytest.fixture
def soak_seconds(request: pytest.FixtureRequest) -> float:
    return request.config.getoption("--soak")


@pytest.fixture
def figure() -> Callable[[str, float, str], None]:
    """Notes a measured value; all are shown at the end, and left in /out/figures."""

    def note(what: str, value: float, unit: str) -> None:
        line = f"{what}: {value:.6g} {unit}"
        figures.append(line)
        with contextlib.suppress(OSError), open("/out/figures", "a") as f:
            f.write(line + "\n")

    return note


@pytest.fixture
def log(request: pytest.FixtureRequest) -> kmsg.Kmsg:
    """The kernel's log since the test began; read() gives what is new in it."""
    return request.node.stash[log_key]
