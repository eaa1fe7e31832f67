# SPDX-License-Identifier: GPL-2.0
"""carpctl check and carpctl require: checks that fail demote. That they run as services is
tested in machine/."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest
from lib import carp as c
from lib.clock import wait_for
from lib.host import Host
from lib.kmsg import Kmsg
from lib.lan import Lan
from lib.modules import insmod, rmmod
from lib.process import Process

pytestmark = pytest.mark.usefixtures("carp")

# a cause lasts that long after the last word of the daemon, in seconds
LASTS = 30
# bad until there is the file
BAD = "[ -e {file} ] || {{ echo {file.name} is not there; exit 1; }}"


class Checks:
    """A folder of checks, and a service manager."""

    def __init__(self, folder: Path, manager: socket.socket) -> None:
        self.manager = manager
        self.path = folder
        self.folder = folder / "checks.d"
        self.folder.mkdir(mode=0o755)

    def add(self, name: str, command: str, *lines: str, mode: int = 0o644) -> Path:
        path = self.folder / f"{name}.conf"
        path.write_text("".join(f"{line}\n" for line in (f"command {command}", *lines)))
        path.chmod(mode)
        return path

    def add_file(self, name: str, *lines: str) -> Path:
        """A check that is good while there is a file, which is returned."""
        file = self.path / f"{name}-file"
        self.add(name, BAD.format(file=file), *lines)
        return file


@pytest.fixture
def checks(tmp_path: Path, manager: socket.socket) -> Checks:
    manager.settimeout(20)
    return Checks(tmp_path, manager)


def start(host: Host, checks: Checks) -> Process:
    """Starts the daemon; when this returns each check has had its first result."""
    manager = f"NOTIFY_SOCKET={checks.manager.getsockname()}"
    daemon = host.spawn("env", manager, "carpctl", "check", "--checks", str(checks.folder))
    assert checks.manager.recv(100) == b"READY=1"
    return daemon


def causes(host: Host, group: str = "carp") -> dict[str, tuple[int, str]]:
    """Amount and reason of each."""
    groups = json.loads(host.run("carpctl", "status", "--json").stdout)["groups"]
    found = [it for it in groups if it["group"] == group]
    named = [it for group in found for it in group["causes"]]
    assert all(it["for"] <= LASTS for it in named)
    return {it["cause"]: (it["amount"], it.get("reason", "")) for it in named}


def wait_causes(
    host: Host, wanted: dict[str, tuple[int, str]], timeout: float, group: str = "carp"
) -> float:
    """Waits until there are these; returns how long that took."""
    begin = time.monotonic()
    wait_for(
        lambda: causes(host, group) == wanted,
        timeout,
        f"{wanted}, not {causes(host, group)}",
        interval=0.1,
    )
    return time.monotonic() - begin


def test_it_takes_several_results_in_a_row(host: Host, checks: Checks) -> None:
    """The first one counts at once."""
    c.create(host)
    log = checks.path / "log"
    file = checks.path / "file"
    file.touch()
    command = f"echo >>{log}; echo nothing; [ -e {file} ] || {{ echo no file; false; }}"
    checks.add("web", command, "every 2", "fall = 3", "rise=2", "demote 7")
    daemon = start(host, checks)

    def runs() -> int:
        return len(log.read_text().splitlines())

    def wait_runs(number: int) -> None:
        wait_for(lambda: runs() == number, 3, f"run {number}")
        time.sleep(0.5)

    wait_runs(1)
    file.unlink()
    for number in (2, 3):
        wait_runs(number)
        assert causes(host) == {}
    # one that is good between them: they are counted anew
    file.touch()
    wait_runs(4)
    file.unlink()
    for number in (5, 6):
        wait_runs(number)
        assert causes(host) == {}
    wait_runs(7)
    assert causes(host) == {"check:web": (7, "no file")}
    assert c.info(host)["demote"] == 7
    file.touch()
    wait_runs(8)
    assert causes(host) == {"check:web": (7, "no file")}
    wait_runs(9)
    assert causes(host) == {}
    assert daemon.output().splitlines() == [
        "carpctl: check web fails: no file.",
        "carpctl: check web is good again.",
    ]


def test_the_first_result_counts(host: Host, checks: Checks) -> None:
    """A host whose service is not there takes nothing over when it starts."""
    file = checks.add_file("web", "every 1", "fall 10", "groups carp, dmz")
    daemon = start(host, checks)
    # of an interface that comes later, too, and of its groups
    c.create(host, "group dmz")
    wanted = {"check:web": (1, "web-file is not there")}
    wait_causes(host, wanted, 1)
    wait_causes(host, wanted, 1, "dmz")
    assert "cannot demote carp: no carp interface is in a group carp" in daemon.output()
    assert c.state(host) == "backup"
    host.ip("link", "del", "carp0")
    c.create(host)
    wait_causes(host, wanted, 1)
    file.touch()
    wait_causes(host, {}, 3)


def test_a_failing_check_hands_over(lan: Lan, checks: Checks) -> None:
    """And the host takes back when it is good again."""
    c.create_pair(lan, preempt=True)
    file = checks.add_file("web", "every 1", "fall 2")
    file.touch()
    start(lan.a, checks)
    time.sleep(3)
    assert c.state(lan.a) == "master"
    file.unlink()
    c.wait_state(lan.b, "master", 4)
    c.wait_state(lan.a, "backup", 1)
    # the cause is renewed as long as the check fails
    time.sleep(2 * LASTS)
    assert c.state(lan.a) == "backup"
    file.touch()
    c.wait_state(lan.a, "master", 6)
    c.wait_state(lan.b, "backup", 1)


@pytest.mark.parametrize("deaf", ["", 'trap "" TERM; '], ids=["", "deaf"])
def test_a_check_that_hangs_has_failed(host: Host, checks: Checks, deaf: str) -> None:
    """Nothing of it is left, and others go on meanwhile."""
    c.create(host)
    hang, pids = checks.path / "hang", checks.path / "pids"
    command = (
        f"{deaf}[ ! -e {hang} ] || {{ echo waiting; echo $$ >>{pids}; sleep 1000; sleep 1000; }}"
    )
    checks.add("slow", command, "every 10", "timeout 2", "fall 1", "rise 1")
    other = checks.add_file("other", "every 1", "fall 1", "rise 1")
    other.touch()
    start(host, checks)
    time.sleep(1)
    hang.touch()
    reason = "it has not ended after 2 s: waiting"
    taken = wait_causes(host, {"check:slow": (1, reason)}, 13)
    assert taken > 2
    other.unlink()
    wait_causes(host, {"check:slow": (1, reason), "check:other": (1, "other-file is not there")}, 2)
    # SIGKILL comes five seconds after SIGTERM
    time.sleep(6)
    (pid,) = pids.read_text().split()
    assert not Path(f"/proc/{pid}").exists()
    left = host.run("sh", "-c", "pgrep -x sleep || true").stdout
    assert left == "", "sleep is left"
    hang.unlink()
    wait_causes(host, {"check:other": (1, "other-file is not there")}, 11)


def test_one_that_goes_on_in_the_background(host: Host, checks: Checks) -> None:
    """It is waited for no longer than the check, and does not stay."""
    c.create(host)
    checks.add("web", "sleep 1000 & echo no; exit 1", "every 2")
    start(host, checks)
    assert causes(host) == {"check:web": (1, "no")}
    time.sleep(0.2)
    assert host.run("sh", "-c", "pgrep -x sleep || true").stdout == ""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_causes_end_with_the_daemon(
    host: Host, checks: Checks, number: signal.Signals, log: Kmsg
) -> None:
    """Not at once, for the next one goes on from there; an event and the log tell of it."""
    host.sysctl("net.inet.carp.log", 3)
    c.create(host)
    checks.add("web", "echo down; exit 1", "every 1")
    monitor = host.spawn("carpctl", "monitor", "--json")
    daemon = start(host, checks)
    time.sleep(25)
    assert causes(host) == {"check:web": (1, "down")}
    events = [json.loads(line) for line in monitor.output().splitlines()]
    steps = [it["step"] for it in events if it["event"] == "demote"]
    assert steps == [1], "nobody is told that it is so still"
    daemon.signal(number)
    if number == signal.SIGTERM:
        assert daemon.wait(5) == "carpctl: check web fails: down.\n"
    time.sleep(18)
    assert causes(host) == {"check:web": (1, "down")}
    time.sleep(LASTS - 18 + 0.5)
    assert causes(host) == {}
    last = json.loads(monitor.output().splitlines()[-1])
    assert (last["step"], last["cause"], last["cause_reason"]) == (-1, "check:web", "down")
    log.read()
    assert any("demoted group carp by -1 to 0 (check:web)" in line for line in log.lines)


def test_the_next_daemon_goes_on(host: Host, checks: Checks) -> None:
    """It takes as many good results as without an end."""
    c.create(host)
    file = checks.add_file("web", "every 2", "rise 3")
    daemon = start(host, checks)
    daemon.kill()
    file.touch()
    start(host, checks)
    assert causes(host) == {"check:web": (1, "web-file is not there")}
    time.sleep(2.5)
    assert causes(host) == {"check:web": (1, "web-file is not there")}
    wait_causes(host, {}, 2.5)


def test_files_are_read_again(host: Host, checks: Checks) -> None:
    c.create(host, "group dmz")
    checks.add("a", "echo no a; false", "every 1")
    checks.add("b", "echo no b; sleep 1000", "every 1", "groups carp dmz", "timeout 1")
    checks.add("c", "echo no c; false")
    daemon = start(host, checks)
    b = "it has not ended after 1 s: no b"
    assert causes(host) == {
        "check:a": (1, "no a"), "check:b": (1, b), "check:c": (1, "no c"),
    }  # fmt: skip
    (checks.folder / "a.conf").unlink()
    checks.add("b", "echo b is down; false", "demote 9", "groups carp")
    checks.add("c", "true", "evry 5")
    checks.add("d", "echo no d; false", "groups dmz")
    daemon.signal(signal.SIGHUP)
    wait_causes(host, {"check:b": (9, "b is down"), "check:c": (1, "no c")}, 1)
    assert causes(host, "dmz") == {"check:d": (1, "no d")}
    assert f'carpctl: {checks.folder}/c.conf:2: "evry" is unknown.\n' in daemon.output()
    assert "carpctl: check c goes on as it was.\n" in daemon.output()
    # one that was changed needs no more than one good result
    checks.add("b", "true", "rise 10")
    daemon.signal(signal.SIGHUP)
    wait_causes(host, {"check:c": (1, "no c")}, 1)
    for path in checks.folder.iterdir():
        path.unlink()
    daemon.signal(signal.SIGHUP)
    wait_causes(host, {}, 1)
    assert causes(host, "dmz") == {}


def test_bad_files(host: Host, checks: Checks) -> None:
    """Each has its sentence, and the others are run."""
    c.create(host)
    checks.add("anybody", "true", mode=0o666)
    os.chown(checks.add("somebody", "true"), 1000, 0)
    (checks.folder / "nothing.conf").write_text("# as yet\n\nevery 5\n")
    checks.add("wrong", "true", "every 0", "timout 3", "demote 500", "groups", "groups x")
    checks.add("a-name-that-no-cause-can-have", "true")
    checks.add("two words", "true")
    (checks.folder / "latin1.conf").write_bytes(b"command echo \xfc\n")
    (checks.folder / "huge.conf").write_text("#" * 100_000)
    (checks.folder / "folder.conf").mkdir()
    for name in ("README", "old.conf~", ".hidden.conf"):
        (checks.folder / name).write_text("nothing that is read\n")
    checks.add("good", "echo it runs; false")
    daemon = start(host, checks)
    assert causes(host) == {"check:good": (1, "it runs")}
    at = f"carpctl: {checks.folder}/"
    assert sorted(daemon.output().splitlines()) == sorted(
        [
            f"{at}anybody.conf is not read: every user can write to it.",
            f"{at}somebody.conf is not read: it does not belong to root.",
            f"{at}nothing.conf: there is no command.",
            f'{at}wrong.conf:2: every "0": a number of 1-86400 seconds is expected.',
            f'{at}wrong.conf:3: "timout" is unknown.',
            f'{at}wrong.conf:4: demote "500": a number of 1-255 is expected.',
            f"{at}wrong.conf:5: groups: a group is missing.",
            f"{at}wrong.conf:6: groups is said twice.",
            f"{at}a-name-that-no-cause-can-have.conf: the name of a check has at most 25 bytes.",
            f"{at}two words.conf: the name of a check has visible ASCII characters only.",
            f"{at}latin1.conf: it is not UTF-8.",
            f"{at}huge.conf: it has more than 65536 bytes.",
            f"{at}folder.conf: it is no file.",
            "carpctl: check good fails: it runs.",
        ]
    )
    checks.folder.chmod(0o777)
    daemon.signal(signal.SIGHUP)
    daemon.wait_output(f"{checks.folder} is not read: every user can write to it.", 2)
    assert causes(host) == {"check:good": (1, "it runs")}, "what is known goes on"


def test_what_a_check_prints(host: Host, checks: Checks) -> None:
    """However much, and whatever: memory is bounded, and what is shown harms no terminal."""
    c.create(host)
    checks.add("much", "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo enough >&2; false")
    checks.add("long", "head -c 3000000 /dev/zero | tr '\\0' y; false")
    checks.add("wild", r"printf '\033[2Jred\a \377\n\n'; exit 1")
    checks.add("silent", "exit 3")
    checks.add("killed", "kill -9 $$")
    checks.add("missing", "/nowhere/program")
    checks.add("endless", "yes", "timeout 1")
    daemon = start(host, checks)
    told = {name: reason for name, (_, reason) in causes(host).items()}
    assert told.pop("check:missing").endswith("/nowhere/program: not found")
    assert told == {
        "check:much": "enough",
        "check:long": "y" * 124 + "…",
        "check:wild": "[2Jred  \ufffd",
        "check:silent": "it ended with exit status 3",
        "check:killed": "signal 9 has ended it",
        "check:endless": "it has not ended after 1 s: y",
    }
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    assert int(peak) < 16384, "KiB"


def test_once_by_hand(host: Host, checks: Checks) -> None:
    """Without carp.ko, too."""
    checks.add("good", "echo 200 OK")
    checks.add("quiet", "true")
    checks.add("slow", "sleep 1000", "timeout 1")
    checks.add("wrong", "true", "every never")
    folder = ("--checks", str(checks.folder))
    rmmod("carp")
    done = host.run("carpctl", "check", *folder, "--once", check=False)
    insmod("carp")
    assert done.returncode == 1
    assert (
        done.stdout == "good: good: 200 OK\nquiet: good\nslow: failed: it has not ended after 1 s\n"
    )
    assert done.stderr.splitlines() == [
        f'carpctl: {checks.folder}/wrong.conf:2: every "never": a number of 1-86400 seconds'
        " is expected.",
        "carpctl: 2 of 4 checks failed.",
    ]
    done = host.run("carpctl", "check", *folder, "--once", "quiet", "good")
    assert done.stdout == "good: good: 200 OK\nquiet: good\n"
    assert "has no check nope" in host.refused("carpctl", "check", *folder, "--once", "nope")
    assert "--once" in host.refused("carpctl", "check", *folder, "good")


def test_the_end(host: Host, checks: Checks) -> None:
    """What runs is ended with the daemon, and what does not listen is not waited for."""
    c.create(host)
    checks.add("slow", 'trap "" TERM; sleep 1000; sleep 1000', "timeout 100")
    daemon = start(host, checks)
    daemon.signal(signal.SIGTERM)
    assert checks.manager.recv(100) == b"STOPPING=1"
    assert daemon.wait(6) == ""
    time.sleep(0.2)
    assert host.run("sh", "-c", "pgrep -x sleep || true").stdout == ""


def test_the_module_comes_and_goes(host: Host, checks: Checks) -> None:
    checks.add("web", "echo down; false", "every 1")
    rmmod("carp")
    daemon = start(host, checks)
    said = "carp.ko is not loaded, or too old; groups are demoted when it is there"
    daemon.wait_output(said, 10)
    for _ in range(2):
        insmod("carp")
        c.create(host)
        wait_causes(host, {"check:web": (1, "down")}, 2)
        rmmod("carp")
        time.sleep(1)
    insmod("carp")


SYSTEMCTL = """#!/bin/sh
[ "$*" = "is-active -- web@1.service" ] || exec sleep 1000
cat {state}
grep -qx active {state}
"""


def test_a_unit_that_is_not_active(host: Host, checks: Checks) -> None:
    """A restart that takes less than a second is none."""
    c.create(host)
    state, script = checks.path / "state", checks.path / "systemctl"
    script.write_text(SYSTEMCTL.format(state=state))
    script.chmod(0o755)
    state.write_text("active\n")
    path = f"PATH={checks.path}:{os.environ['PATH']}"
    manager = f"NOTIFY_SOCKET={checks.manager.getsockname()}"
    daemon = host.spawn("env", path, manager, "carpctl", "require", "web@1", "--by", "9")
    assert checks.manager.recv(100) == b"READY=1"
    for _ in range(5):
        state.write_text("activating\n")
        time.sleep(0.9)
        state.write_text("active\n")
        time.sleep(1.3)
        assert causes(host) == {}
    state.write_text("failed\n")
    wait_causes(host, {"unit:web@1": (9, "web@1.service is failed")}, 3)
    time.sleep(LASTS + 1)
    assert causes(host) == {"unit:web@1": (9, "web@1.service is failed")}
    state.write_text("active\n")
    wait_causes(host, {}, 3)
    state.write_text("inactive\n")
    wait_causes(host, {"unit:web@1": (9, "web@1.service is inactive")}, 3)
    daemon.kill()
    wait_causes(host, {}, LASTS + 1)
    for words in (["a b"], [""], ["x", "--by", "0"], ["x", "-g", "a-name-far-too-long"]):
        host.refused("carpctl", "require", *words)
