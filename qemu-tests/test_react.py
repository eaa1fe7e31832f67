# SPDX-License-Identifier: GPL-2.0
"""carpctl react: hooks and systemd's targets follow the state of carp interfaces. That
systemd does what it is asked for is tested in machine/."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lib import carp as c
from lib import kernel
from lib.clock import MILLISECOND, wait_for
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import Lan
from lib.modules import insmod, rmmod
from lib.process import Process

pytestmark = pytest.mark.usefixtures("carp")

TELL = (
    'echo "$CARP_INTERFACE $CARP_VHID $CARP_OLD_STATE $CARP_STATE $CARP_REASON $CARP_DEMOTE"'
    " >>{log}\n"
)
# it stays backup until it is told
SLOW = "advbase 200"


class Hooks:
    """A folder of hooks, what they have written, and a service manager."""

    def __init__(self, folder: Path, manager: socket.socket) -> None:
        self.manager = manager
        self.folder = folder / "hooks.d"
        self.folder.mkdir(mode=0o755)
        self.log = folder / "log"

    def add(self, name: str, script: str = "", mode: int = 0o755) -> None:
        """A script that writes its environment down after it has done something."""
        path = self.folder / name
        path.write_text("#!/bin/sh\n" + script + TELL.format(log=self.log))
        path.chmod(mode)

    def heard(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def wait(self, *lines: str, timeout: float = 10) -> None:
        """Waits until they were called for exactly this."""
        wait_for(lambda: self.heard() == list(lines), timeout, f"{lines}, not {self.heard()}")

    def wait_last(self, line: str, timeout: float = 20) -> None:
        wait_for(lambda: self.heard()[-1:] == [line], timeout, f"{line}, not {self.heard()[-1:]}")


@pytest.fixture
def hooks(tmp_path: Path, manager: socket.socket) -> Hooks:
    return Hooks(tmp_path, manager)


def start(host: Host, hooks: Hooks, *words: str, **environment: str) -> Process:
    environment["NOTIFY_SOCKET"] = hooks.manager.getsockname()
    settings = [f"{name}={value}" for name, value in environment.items()]
    command = ("carpctl", "react", "--hooks", str(hooks.folder), *words)
    return host.spawn("env", *settings, *command)


def react(host: Host, hooks: Hooks, *words: str, **environment: str) -> Process:
    """Starts the daemon; when this returns it has read what is there, and listens."""
    daemon = start(host, hooks, *words, **environment)
    assert hooks.manager.recv(100) == b"READY=1"
    return daemon


def become(host: Host, *states: str, name: str = "carp0") -> None:
    host.ip_batch(*(f"link set {name} type carp state {state}" for state in states))


def test_what_is_true_at_the_start(host: Host, hooks: Hooks) -> None:
    """And a host in INIT is told of, too."""
    c.create(host, SLOW, vhid=7)
    c.create(host, SLOW, name="carp1", vhid=9, carpdev="eth1", up=False)
    host.run("carpctl", "-g", "carp", "carpdemote", "3")
    hooks.add("hook")
    react(host, hooks)
    wait_for(lambda: len(hooks.heard()) == 2, 10, "both are told of")
    time.sleep(0.5)
    expected = ["carp0 7 UNKNOWN BACKUP found 3", "carp1 9 UNKNOWN INIT found 3"]
    assert sorted(hooks.heard()) == expected


def test_changes(host: Host, hooks: Hooks) -> None:
    """Each with its reason, and in the order of the names."""
    hooks.add("20-second", f"echo $CARP_STATE >>{hooks.log}; exit\n")
    hooks.add("10-first")
    react(host, hooks)
    c.create(host, SLOW)
    told = ["carp0 1 INIT BACKUP started 0", "BACKUP"]
    hooks.wait(*told)
    for act, line in (
        (lambda: become(host, "master"), "carp0 1 BACKUP MASTER administrator 0"),
        (lambda: host.ip("link", "set", "carp0", "down"), "carp0 1 MASTER INIT stopped 0"),
        (lambda: host.ip("link", "set", "carp0", "up"), "carp0 1 INIT BACKUP started 0"),
        (lambda: host.ip("link", "del", "carp0"), "carp0 1 BACKUP INIT stopped 0"),
    ):
        act()
        told += [line, line.split()[3]]
        hooks.wait(*told)


def test_several_virtual_hosts(host: Host, hooks: Hooks) -> None:
    hooks.add("hook")
    react(host, hooks)
    c.create_nodes(host, "1:0,2:100")
    c.wait_masters(host, [1, 2])
    wait_for(lambda: len(hooks.heard()) == 4, 10, "both are master")
    host.ip("link", "set", "carp0", "type", "carp", "carpnodes", "1:0")
    wait_for(lambda: len(hooks.heard()) == 5, 10, "one has gone")
    assert hooks.heard()[4] == "carp0 2 MASTER INIT stopped 0"
    states = [line.split()[1:4] for line in hooks.heard()[:4]]
    for vhid in ("1", "2"):
        mine = [[old, new] for number, old, new in states if number == vhid]
        assert mine == [["INIT", "BACKUP"], ["BACKUP", "MASTER"]]


def test_the_last_of_several_changes_counts(host: Host, hooks: Hooks) -> None:
    """What a slow hook has left to those behind it is not done for a state that has passed."""
    c.create(host, SLOW)
    hooks.add("10-slow", "sleep 1\n")
    hooks.add("20-next")
    react(host, hooks)
    hooks.wait(*["carp0 1 UNKNOWN BACKUP found 0"] * 2)
    become(host, "master")
    time.sleep(0.2)
    become(host, "backup", "master", "backup")
    hooks.wait(
        *["carp0 1 UNKNOWN BACKUP found 0"] * 2,
        "carp0 1 BACKUP MASTER administrator 0",
        *["carp0 1 MASTER BACKUP administrator 0"] * 2,
    )
    time.sleep(3)
    assert len(hooks.heard()) == 5


def test_a_thousand_changes(host: Host, hooks: Hooks) -> None:
    """After any number of them the hooks' last word is the state."""
    c.create(host, SLOW)
    hooks.add("hook")
    react(host, hooks)
    hooks.wait("carp0 1 UNKNOWN BACKUP found 0")
    rounds = kernel.times(20)
    for number in range(rounds):
        last = ("backup", "master")[number % 2]
        other = ("master", "backup")[number % 2]
        become(host, *(other, last) * 25)
        # of several changes between two calls the state may be the one of before
        wait_for(lambda last=last: state_told(hooks) == last, 20, f"{last} is told")
        time.sleep(0.5)
        assert state_told(hooks) == last == c.state(host)
    assert len(hooks.heard()) <= rounds * 50 + 1
    olds = [line.split()[2] for line in hooks.heard()[1:]]
    assert olds == [line.split()[3] for line in hooks.heard()[:-1]], "none is left out"


def state_told(hooks: Hooks) -> str:
    return hooks.heard()[-1].split()[3].lower()


def test_events_are_lost(host: Host, hooks: Hooks) -> None:
    """What is queued when the queue overflows is older than the state: whether it ends with the
    last state or with the one before, the last one counts."""
    c.create(host, SLOW)
    c.create(host, SLOW, name="carp1", vhid=2, addresses=("10.0.0.9/24",))
    hooks.add("hook", "[ $CARP_INTERFACE = carp0 ] || exit 0\n")
    daemon = react(host, hooks)
    hooks.wait("carp0 1 UNKNOWN BACKUP found 0")
    reasons = []
    for others in ((), ("master",)):
        daemon.signal(signal.SIGSTOP)
        become(host, *others, name="carp1")
        become(host, *("master", "backup") * 500, "master")
        daemon.signal(signal.SIGCONT)
        time.sleep(3)
        assert state_told(hooks) == c.state(host) == "master"
        reasons.append(hooks.heard()[-1].split()[4])
        become(host, "backup")
        hooks.wait_last("carp0 1 MASTER BACKUP administrator 0")
    assert sorted(reasons) == ["administrator", "found"], "one of them ends with the other state"


FIRST_LINE = 'echo "<6>first line: $CARP_STATE" >/dev/kmsg\n'


class Latency:
    """What passes between a change, as the kernel logs it, and the first line of a hook."""

    def __init__(self, host: Host, hooks: Hooks, log: Kmsg) -> None:
        self.host, self.log = host, log
        host.sysctl("net.inet.carp.log", 0)
        path = hooks.folder / "hook"
        path.write_text(f"#!/bin/sh\n{FIRST_LINE}")
        path.chmod(0o755)
        self.daemon = react(host, hooks)

    def after(self, act: Callable[[], None], state: str = "MASTER") -> float:
        """In nanoseconds."""
        log = self.log
        # not before: messages of a namespace are limited in number
        self.host.sysctl("net.inet.carp.log", 2)
        log.read()
        begin = len(log.lines)
        act()

        def is_told() -> bool:
            log.read()
            return any(f"first line: {state}" in line for line in log.lines[begin:])

        wait_for(is_told, 20, "the hook is called", interval=0.1)
        times = dict(zip(log.lines[begin:], log.times[begin:], strict=True))
        changed = next(t for line, t in times.items() if f"-> {state}" in line)
        called = next(t for line, t in times.items() if f"first line: {state}" in line)
        return (called - changed) * 1000


@pytest.mark.virtual
@pytest.mark.figures
def test_how_soon_a_hook_is_called(
    lan: Lan, hooks: Hooks, log: Kmsg, figure: Callable[[str, float, str], None]
) -> None:
    c.create_pair(lan)
    latency = Latency(lan.b, hooks, log)
    taken = latency.after(lambda: lan.hard_cut(lan.a))
    figure("from a takeover to the first line of a hook", taken / MILLISECOND, "ms")
    assert taken < 10 * MILLISECOND


@pytest.mark.virtual
@pytest.mark.figures
def test_how_soon_a_hook_is_called_beside_others(
    host: Host, hooks: Hooks, log: Kmsg, figure: Callable[[str, float, str], None]
) -> None:
    """While hooks of other interfaces wait, and ip(8) has not ended yet."""
    for number in range(8):
        c.create(host, SLOW, name=f"carp{number}", vhid=number + 1, addresses=())
        host.ip("addr", "add", f"10.0.0.{100 + number}/24", "dev", f"carp{number}")
    latency = Latency(host, hooks, log)
    others = '[ "$CARP_INTERFACE" = carp7 ] || exec sleep 100\n'
    (hooks.folder / "hook").write_text(f"#!/bin/sh\n{others}{FIRST_LINE}")
    for number in range(7):
        become(host, "master", name=f"carp{number}")
    time.sleep(1)
    taken = [
        latency.after(lambda state=state: become(host, state, name="carp7"), state.upper())
        for state in ("master", "backup") * 3
    ]
    figure("the same beside seven that wait, the slowest of six", max(taken) / MILLISECOND, "ms")
    assert max(taken) < 10 * MILLISECOND


def test_hooks_that_fail_or_are_refused(host: Host, hooks: Hooks) -> None:
    c.create(host, SLOW)
    hooks.add("10-fails", "exit 3\n")
    hooks.add("15-killed", "kill -9 $$\n")
    hooks.add("20-anybody-s", "exit 0\n", mode=0o757)
    hooks.add("30-somebody-s", "exit 0\n")
    os.chown(hooks.folder / "30-somebody-s", 1000, 0)
    (hooks.folder / "40-no-program").write_text("neither a script nor a program\n")
    (hooks.folder / "40-no-program").chmod(0o755)
    hooks.add("50-not-executable", mode=0o644)
    hooks.add("60-backup~")
    hooks.add("70-good")
    daemon = react(host, hooks)
    hooks.wait("carp0 1 UNKNOWN BACKUP found 0")
    about = f"{hooks.folder}/%s (carp0 vhid 1 is BACKUP): %s."
    assert sorted(daemon.output().splitlines()) == sorted(
        [
            "carpctl: " + about % ("10-fails", "it ended with exit status 3"),
            "carpctl: " + about % ("15-killed", "signal 9 has ended it"),
            f"carpctl: {hooks.folder}/20-anybody-s is not called: every user can write to it.",
            f"carpctl: {hooks.folder}/30-somebody-s is not called: it does not belong to root.",
            "carpctl: " + about % ("40-no-program", "Exec format error"),
        ]
    )


def test_a_hook_that_hangs(host: Host, hooks: Hooks) -> None:
    """It delays hooks of its own interface alone, and not for ever."""
    c.create(host, SLOW)
    c.create(host, SLOW, name="carp1", vhid=2, addresses=("10.0.0.9/24",))
    hooks.add("hook", 'trap "" TERM; [ $CARP_INTERFACE = carp1 ] || sleep 1000\n')
    daemon = react(host, hooks, "--timeout", "2")
    become(host, "master", name="carp1")
    hooks.wait_last("carp1 2 BACKUP MASTER administrator 0", timeout=1.5)
    became = time.monotonic()
    become(host, "master")
    hooks.add("hook")
    # SIGKILL comes five seconds after SIGTERM
    hooks.wait_last("carp0 1 BACKUP MASTER administrator 0", timeout=10)
    assert time.monotonic() - became > 4
    assert "(carp0 vhid 1 is BACKUP): it has not ended after 2 s" in daemon.output()
    assert "signal 9 has ended it" in daemon.output()


def test_the_end(host: Host, hooks: Hooks) -> None:
    """Hooks that run, and those that wait, are left to finish."""
    c.create(host, SLOW)
    hooks.add("hook", "sleep 1\n")
    daemon = react(host, hooks)
    become(host, "master")
    time.sleep(0.2)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(timeout=4) == ""
    hooks.wait("carp0 1 UNKNOWN BACKUP found 0", "carp0 1 BACKUP MASTER administrator 0")


def test_the_end_does_not_wait_for_ever(host: Host, hooks: Hooks) -> None:
    c.create(host, SLOW)
    hooks.add("hook", "sleep 1000\n")
    daemon = react(host, hooks)
    daemon.signal(signal.SIGTERM)
    assert "it has not ended, and carpctl react does" in daemon.wait(timeout=6)
    time.sleep(0.2)
    assert hooks.heard() == []


def test_the_service_manager_is_told(host: Host, hooks: Hooks) -> None:
    c.create(host, SLOW)
    hooks.add("hook", f'echo "[$NOTIFY_SOCKET]" >>{hooks.log}\n')
    daemon = react(host, hooks)
    hooks.wait("[]", "carp0 1 UNKNOWN BACKUP found 0")
    daemon.signal(signal.SIGTERM)
    assert hooks.manager.recv(100) == b"STOPPING=1"
    daemon.wait()


def test_the_module_comes_and_goes(host: Host, hooks: Hooks) -> None:
    """As in an upgrade; the family has another number after it."""
    hooks.add("hook")
    rmmod("carp")
    daemon = start(host, hooks)
    daemon.wait_output("carp.ko is not loaded, or too old; reactions begin when it is there", 10)
    told = []
    for _ in range(2):
        insmod("carp")
        c.create(host, SLOW)
        told.append("carp0 1 INIT BACKUP started 0")
        hooks.wait(*told)
        rmmod("carp")
        told.append("carp0 1 BACKUP INIT stopped 0")
        hooks.wait(*told)
    insmod("carp")


SYSTEMCTL = """#!/bin/sh
case "$*" in
list-units*) echo "carp-master@gone0.target loaded active active This host is master" ;;
*) echo "$*" >>{log}; [ ! -e {log}.fail ] ;;
esac
"""


@pytest.fixture
def systemctl(tmp_path: Path) -> Iterator[Path]:
    """Stands for systemd's; a file with what it was asked for."""
    log, folder = tmp_path / "asked", tmp_path / "bin"
    folder.mkdir()
    script = folder / "systemctl"
    script.write_text(SYSTEMCTL.format(log=log))
    script.chmod(0o755)
    booted = Path("/run/systemd/system")
    was_there = booted.exists()
    booted.mkdir(parents=True, exist_ok=True)
    yield log
    if not was_there:
        booted.rmdir()


def test_targets(host: Host, hooks: Hooks, systemctl: Path) -> None:
    """Those of an interface that went while nobody looked are stopped."""
    c.create(host, SLOW)
    path = f"{systemctl.parent}/bin:{os.environ['PATH']}"
    daemon = react(host, hooks, PATH=path)
    start, stop = "--no-block start -- ", "--no-block stop -- "
    asked = [
        f"{stop}carp-master@gone0.target carp-backup@gone0.target",
        f"{start}carp-backup@carp0.target",
    ]

    def is_asked() -> bool:
        return systemctl.exists() and systemctl.read_text().splitlines() == asked

    wait_for(is_asked, 10, "the targets are as the state is")
    for act, line in (
        (lambda: become(host, "master"), f"{start}carp-master@carp0.target"),
        (
            lambda: c.create_nodes(host, "2:0,3:0", name="carp1", carpdev="eth1"),
            f"{start}carp-backup@carp1.target",
        ),
        (lambda: c.wait_masters(host, [2, 3], name="carp1"), f"{start}carp-master@carp1.target"),
        (
            lambda: host.ip("link", "del", "carp1"),
            f"{stop}carp-master@carp1.target carp-backup@carp1.target",
        ),
    ):
        act()
        asked.append(line)
        wait_for(is_asked, 10, f"{line}; not {systemctl.read_text()}")
    assert daemon.output() == ""
    Path(f"{systemctl}.fail").touch()
    become(host, "backup")
    daemon.wait_output("carpctl: systemctl: it ended with exit status 1.\n", 10)
