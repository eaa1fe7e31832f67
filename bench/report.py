# SPDX-License-Identifier: GPL-2.0
"""report.py [--check]: makes README.md, bench.svg and the table in the project's README.md
out of results.json; --check only says whether they are what it would make.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import picture

HERE = Path(__file__).parent
BEGIN, END = "<!-- figures: made by bench/report.py -->", "<!-- end of figures -->"
Group = dict[str, Any]


def number(value: float) -> str:
    """As exact as a reader can use it."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.3g}"


def columns(group: Group) -> list[str]:
    """In the order in which they came."""
    return list(dict.fromkeys(cell["column"] for cell in group["cells"]))


def rows(group: Group) -> list[str]:
    return list(dict.fromkeys(cell["row"] for cell in group["cells"]))


def find(group: Group, row: str, column: str) -> dict[str, Any] | None:
    for cell in group["cells"]:
        if (cell["row"], cell["column"]) == (row, column):
            return cell
    return None


def show(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return ""
    if "why" in cell:
        return f"not measured: {cell['why']}"
    spread = f" ± {number(cell['spread'] / 2)}" if cell["spread"] else ""
    unit = f" {cell['unit']}" if cell["unit"] else ""
    return f"{number(cell['value'])}{unit}{spread}"


def result(bar: dict[str, Any]) -> str:
    """What a bar measured, in words of one sign."""
    value, unit = bar["value"], bar["unit"]
    if value < 0 and unit.startswith("more "):
        value, unit = -value, unit.replace("more", "fewer", 1)
    return f"{number(value)} {unit}".strip()


def table(header: list[str], lines: list[list[str]]) -> list[str]:
    """A Markdown table; all columns but the first are numbers."""
    return [
        f"| {' | '.join(header)} |",
        f"| --- |{' ---: |' * (len(header) - 1)}",
        *(f"| {' | '.join(line)} |" for line in lines),
    ]


def of_group(group: Group) -> list[str]:
    lines = [f"## {group['title']}", ""]
    heads = columns(group)
    lines += table(
        ["", *heads],
        [[row, *(show(find(group, row, head)) for head in heads)] for row in rows(group)],
    )
    for sentence in group["how"]:
        lines += ["", sentence]
    return [*lines, ""]


def of_bars(results: dict[str, Any]) -> list[str]:
    return table(
        ["what was promised", "bar", "measured", ""],
        [
            [
                bar["what"],
                bar["bar"],
                result(bar),
                "met" if bar["met"] else "**missed**",
            ]
            for group in results["groups"]
            for bar in group["bars"]
        ],
    )


def page(results: dict[str, Any]) -> str:
    lines = [
        "<!-- SPDX-License-Identifier: GPL-2.0 -->",
        "<!-- made by bench/report.py out of results.json -->",
        "",
        "# Figures",
        "",
        "`make bench` measures all of it in one guest with Debian's kernel"
        f" {results['kernel']}, and writes this page; `make bench T=packets` shows one table. The"
        " guest runs in virtual time: one nanosecond is one executed instruction, so the figures"
        " are the same on any machine, and time that passes while the guest has nothing to do is"
        " no work. All hosts are network namespaces in that guest.",
        "",
        *([results["remark"], ""] if "remark" in results else []),
        "![The figures as a picture](bench.svg)",
        "",
        "## What was promised",
        "",
        *of_bars(results),
        "",
    ]
    for group in results["groups"]:
        lines += of_group(group)
    return "\n".join(lines).rstrip() + "\n"


@dataclass(frozen=True)
class Headline:
    """A line of the project's README: a row of a table, whose column is ours, and those
    that stand beside it with their names."""

    group: str
    row: str
    words: str
    ours: str
    others: tuple[tuple[str, str], ...]


DAEMONS = (("ucarp", "ucarp"), ("keepalived", "keepalived"))
TIMED = (("ucarp", "ucarp, 1 s"), ("keepalived", "keepalived, 1 s"))
KERNEL = (("macvlan", "macvlan"), ("neither", "direct"))
CONNTRACKD = (("conntrackd", "conntrackd"),)
HEADLINES = (
    Headline("outage", "hard cut, median", "outage, hard cut, median", "carp, 1 s", TIMED),
    Headline(
        "outage", "handed over, median", "outage, handed over, median", "carp, 1 s", TIMED
    ),
    Headline(
        "outage", "hard cut, median", "the same, hard cut, shortest interval", "carp, 1/256 s",
        (("keepalived", "keepalived, 1/100 s"),),
    ),
    Headline("advertisements", "sent", "instructions to advertise", "carp", DAEMONS),
    Headline(
        "advertisements", "received and verified", "… to receive and verify", "carp", DAEMONS
    ),
    Headline(
        "share", "a master, 255 virtual hosts", "processor, master of 255", "carp", DAEMONS
    ),
    Headline(
        "share", "a backup, 255 virtual hosts", "processor, backup of 255", "carp", DAEMONS
    ),
    Headline(
        "share", "a master, 4,080 virtual hosts", "processor, master of 4,080", "carp", DAEMONS
    ),
    Headline("packets", "received, IPv4", "instructions to receive a packet", "carp", KERNEL),
    Headline("packets", "sent, IPv4", "… to send one", "carp", KERNEL),
    Headline(
        "packets", "to the parent, IPv4", "… to receive one that is not for it", "carp", KERNEL
    ),
    Headline(
        "pfsync", "a new connection: instructions", "… to tell of a connection", "pfsync",
        CONNTRACKD,
    ),
    Headline(
        "pfsync", "a new connection: bytes on the wire", "bytes to tell of it", "pfsync",
        CONNTRACKD,
    ),
    Headline(
        "pfsync", "all at once: states a second", "states a second, all at once", "pfsync",
        CONNTRACKD,
    ),
)  # fmt: skip


def plain(cell: dict[str, Any] | None) -> str:
    """Without the spread."""
    return show(cell and {**cell, "spread": 0}) if cell and "why" not in cell else ""


def excerpt(results: dict[str, Any]) -> str:
    groups = {group["name"]: group for group in results["groups"]}
    lines = []
    for line in HEADLINES:
        if line.group not in groups:
            continue
        group = groups[line.group]
        others = [
            f"{name} {value}"
            for name, column in line.others
            if (value := plain(find(group, line.row, column)))
        ]
        ours = plain(find(group, line.row, line.ours))
        if ours or others:
            lines.append([line.words, ours, "; ".join(others)])
    bars = [bar for group in results["groups"] for bar in group["bars"]]
    missed = [bar for bar in bars if not bar["met"]]
    summary = f"Of {len(bars)} bars that were set beforehand {len(bars) - len(missed)} are met."
    if missed:
        summary += " Missed:"
    return "\n".join(
        [
            BEGIN,
            *table(["", "here", "beside"], lines),
            "",
            summary,
            *([""] if missed else []),
            *(f"- {bar['what']}: {result(bar)} (bar: {bar['bar']})" for bar in missed),
            END,
        ]
    )


def with_excerpt(text: str, new: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    assert found, f"README.md has no lines {BEGIN} and {END}"
    return before + new + after


def main() -> int:
    results = json.loads((HERE / "results.json").read_text())
    top = HERE.parent / "README.md"
    made = {
        HERE / "README.md": page(results),
        HERE / "bench.svg": picture.draw(results),
        top: with_excerpt(top.read_text(), excerpt(results)),
    }
    if sys.argv[1:] == ["--check"]:
        old = [path.name for path, text in made.items() if path.read_text() != text]
        for name in old:
            print(f"{name} is not what bench/report.py makes of bench/results.json")
        return 1 if old else 0
    for path, text in made.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
