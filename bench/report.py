# SPDX-License-Identifier: GPL-2.0
"""report.py [--check]: makes README.md, bench.svg and the table in the project's README.md
out of results.json; --check only says whether they are what it would make.
"""

from __future__ import annotations

import json
import sys
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
                f"{number(bar['value'])} {bar['unit']}".strip(),
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


HEADLINES: list[tuple[str, str, str]] = [
    ("packets", "received, IPv4", "instructions for a packet received"),
    ("packets", "to the parent, IPv4", "… for one to the parent that is not for it"),
]
"""What the project's README shows: of which table which row, and in which words."""
SUBJECTS = {
    "carp": ("carp",),
    "macvlan": ("macvlan",),
    "neither": ("direct",),
}
"""Under which heads it shows them: for each the columns' names."""


def excerpt(results: dict[str, Any]) -> str:
    groups = {group["name"]: group for group in results["groups"]}
    lines = []
    for name, row, words in HEADLINES:
        line = [words]
        for names in SUBJECTS.values():
            cells = [find(groups[name], row, column) for column in names if name in groups]
            cell = next((cell for cell in cells if cell and "why" not in cell), None)
            line.append(show(cell and {**cell, "spread": 0}))
        lines.append(line)
    bars = [bar for group in results["groups"] for bar in group["bars"]]
    missed = [bar for bar in bars if not bar["met"]]
    summary = f"{len(bars) - len(missed)} of {len(bars)} bars are met."
    return "\n".join([BEGIN, *table(["", *SUBJECTS], lines), "", summary, END])


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
