# SPDX-License-Identifier: GPL-2.0
"""How the demo speaks: what was typed where and when, and what came of it."""

from __future__ import annotations

import textwrap

WIDTH = 80
INDENT = 16
"""Columns that time and host take."""

PLAIN = "0"
STYLES = {
    "title": "1",
    "command": "1",
    "quiet": "2",
    "good": "32",
    "bad": "31",
    "init": "2",
    "backup": "33",
    "master": "1;32",
}


class Terminal:
    """Prints, with colours where they are wanted."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour
        self._acts = 0

    def paint(self, style: str, text: str) -> str:
        return f"\033[{STYLES[style]}m{text}\033[{PLAIN}m" if self._colour else text

    def line(self, text: str = "") -> None:
        print(text, flush=True)

    def act(self, title: str) -> None:
        """Opens a part of the story."""
        self._acts += 1
        self.line()
        self.line(self.paint("title", f"{self._acts}. {title}"))

    def _row(self, time: int, host: str, text: str) -> None:
        self.line(f"{self.paint('quiet', f'{time / 1e9:7.3f}')} {host:<{INDENT - 8}}{text}")

    def typed(self, time: int, host: str, command: str) -> None:
        """A command, as it was typed; a long one is continued as a shell has it."""
        lines = textwrap.wrap(command, WIDTH - INDENT - 2, break_on_hyphens=False)
        painted = [self.paint("command", line) for line in lines]
        self._row(time, f"{host}#", f" \\\n{'':{INDENT + 4}}".join(painted))

    def output(self, text: str) -> None:
        """What a command printed."""
        for line in text.splitlines():
            self.line(f"{'':{INDENT}}{line.strip()}")

    def state(self, time: int, host: str, before: str, after: str, why: str) -> None:
        """A host entered a state, and why, in the kernel's words."""
        change = f"{self.paint(before, before.upper())} -> {self.paint(after, after.upper())}"
        self._row(time, host, change + (f"  {why}" if why else ""))

    def result(self, time: int, host: str, text: str, good: bool) -> None:
        """What somebody saw of it."""
        self._row(time, host, self.paint("good" if good else "bad", text))

    def say(self, text: str) -> None:
        """A word of explanation."""
        for line in textwrap.wrap(text, WIDTH - INDENT, break_on_hyphens=False):
            self.line(f"{'':{INDENT}}{line}")

    def table(self, head: tuple[str, str, str], rows: list[tuple[str, str, str]]) -> None:
        """Three columns, the last two of them figures."""
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(3)]

        def show(row: tuple[str, str, str]) -> str:
            cells = f"  {row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}"
            return cells.rstrip()

        self.line(self.paint("quiet", show(head)))
        for row in rows:
            self.line(show(row))
