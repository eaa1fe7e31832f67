# SPDX-License-Identifier: GPL-2.0
"""What docs/recipes.md says, and hosts on which it is done: with files of their own."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from lib.clock import wait_for
from lib.host import Host
from lib.pinger import Pinger, longest_gap
from lib.process import Process

# Restart=always
SERVICE = """#!/bin/sh
trap 'kill $child; wait $child; {ExecStopPost}; exit' TERM
echo $$ >/run/{name}.pid
while :; do
    {ExecStartPre}
    {ExecStart} &
    child=$!
    wait $child
    {ExecStopPost}
    sleep 1
done
"""

RECIPES = Path("/usr/share/doc/carp/recipes.md")


@dataclass
class Recipe:
    """Of one section: the files by name, and the commands, block by block."""

    files: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)


def recipe(title: str) -> Recipe:
    """A block below a line that ends with `/a/name`: is that file; another one is a script."""
    section = re.split(rf"^## {re.escape(title)}$", RECIPES.read_text(), flags=re.M)[1]
    section = re.split(r"^## ", section, flags=re.M)[0]
    found = Recipe()
    for said, block in re.findall(r"(.*)\n\n((?:    .*\n|\n(?=    ))+)", section):
        text = re.sub(r"^    ", "", block, flags=re.M)
        name = re.search(r"`(/[^`]+)`:$", said)
        if name:
            found.files[name[1]] = text
        else:
            found.commands.append(text)
    return found


class Box:
    """A host with its own /etc, /run, /var/lib and /sys, in which `carpctl react` runs."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.folder = folder / host.name
        for name in ("etc", "var/lib"):
            shutil.copytree(f"/{name}", self.folder / name, symlinks=True)
        for name in ("run", "var/log"):
            (self.folder / name).mkdir(parents=True)
        mounts = "".join(
            f"mount --bind {self.folder}/{name} /{name} && "
            for name in ("etc", "run", "var/lib", "var/log")
        )
        self._inside = host.spawn(
            *("unshare", "--mount", "sh", "-c"),
            f"{mounts} mount -t sysfs sysfs /sys && echo ready && exec sleep infinity",
        )
        self._inside.wait_output("ready", 10)
        self._enter = ("nsenter", f"--mount=/proc/{self._inside.pid}/ns/mnt", "--")

    def __str__(self) -> str:
        return self.host.name

    def run(self, *command: str, **options: Any) -> CompletedProcess[str]:
        return self.host.run(*self._enter, *command, **options)

    def spawn(self, *command: str) -> Process:
        return self.host.spawn(*self._enter, *command)

    def path(self, name: str) -> Path:
        """Where a file of this host is for the test."""
        return self.folder / name.lstrip("/")

    def write(self, name: str, text: str) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o600)

    def install(self, recipe: Recipe, **words: str) -> None:
        """Writes the recipe's files, with these in place of the words in capitals."""
        for name, text in recipe.files.items():
            for word, value in words.items():
                text = re.sub(rf"\b{word}\b", value, text)
            self.write(name, text)

    def follow(self, start: str, stop: str, name: str = "carp0") -> None:
        """What the target of systemd does with a service, which guests do not have."""
        self.write(
            "/etc/carp/hooks.d/service",
            f'#!/bin/sh\n[ "$CARP_INTERFACE" = {name} ] || exit 0\n'
            f'if [ "$CARP_STATE" = MASTER ]; then {start}\nelse {stop}\nfi\n',
        )

    def follow_unit(self, name: str, interface: str = "carp0") -> None:
        """The same with a service whose unit the recipe has."""
        self.follow(f"/run/{name}.start", stopped(f"/run/{name}.pid"), interface)
        script = SERVICE.format(name=name, **self._unit(name))
        self.write(f"/run/{name}.service", script)
        start = f"#!/bin/sh\nsetsid /run/{name}.service >>/run/{name}.log 2>&1 &\n"
        self.write(f"/run/{name}.start", start)

    def start_unit(self, name: str) -> Process:
        """A service that always runs."""
        return self.spawn("sh", "-c", f"exec {self._unit(name)['ExecStart']}")

    def _unit(self, name: str) -> dict[str, str]:
        text = self.path(f"/etc/systemd/system/{name}.service").read_text()
        return dict.fromkeys(("ExecStartPre", "ExecStopPost"), ":") | dict(
            re.findall(r"^(Exec\w+)=(.*)$", text, re.M)
        )

    def react(self) -> Process:
        return self.spawn("carpctl", "react")

    def wait_run(self, *command: str, timeout: float = 20) -> str:
        """Runs the command again and again until it succeeds."""

        def succeeds() -> str | None:
            done = self.run(*command, check=False)
            return None if done.returncode else done.stdout or "done"

        return wait_for(succeeds, timeout, f"{command} on {self}", interval=0.1)


def stopped(pid_file: str) -> str:
    """What ends the daemon that has written its number into a file, and waits for that."""
    return (
        f"if read -r pid <{pid_file}; then kill $pid; tail --pid=$pid -f /dev/null; fi 2>/dev/null"
    )


def outage(pinger: Pinger) -> float:
    """In seconds; it must have ended."""
    pings = pinger.stop()
    assert any(ping.received for ping in pings[-50:]), "nothing is answered at the end"
    return longest_gap(pings).seconds
