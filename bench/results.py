# SPDX-License-Identifier: GPL-2.0
"""What was measured: tables of figures, and the bars that they are held against."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Group:
    """A table: what was measured in rows, of whom in columns."""

    name: str
    title: str
    how: list[str] = field(default_factory=list)
    cells: list[dict[str, Any]] = field(default_factory=list)
    bars: list[dict[str, Any]] = field(default_factory=list)

    def explain(self, sentence: str) -> None:
        """Says how a figure of this table came about."""
        self.how.append(sentence)

    def add(self, row: str, column: str, value: float, unit: str = "", spread: float = 0) -> None:
        """One figure; the spread is the distance from the least to the greatest of
        several runs."""
        self.cells.append(
            {"row": row, "column": column, "value": value, "unit": unit, "spread": spread}
        )
        print(f"  {row} | {column}: {value:,.6g} {unit} (spread {spread:,.3g})", flush=True)

    def median(self, row: str, column: str, values: Sequence[float], unit: str = "") -> float:
        """The median of several runs as one figure."""
        value = statistics.median(values)
        self.add(row, column, value, unit, max(values) - min(values))
        return value

    def missing(self, row: str, column: str, why: str) -> None:
        """A case that could not be run."""
        self.cells.append({"row": row, "column": column, "why": why})
        print(f"  {row} | {column}: not measured, {why}", flush=True)

    def bar(self, what: str, bar: str, value: float, unit: str, met: bool) -> None:
        """Something that was promised, and whether it is kept."""
        self.bars.append({"what": what, "bar": bar, "value": value, "unit": unit, "met": bool(met)})
        print(f"  {'met' if met else 'MISSED'}: {what}: {value:,.6g} {unit}; {bar}", flush=True)


class Results:
    """All tables of a run."""

    def __init__(self, **about: str) -> None:
        self.about = about
        self.groups: list[Group] = []

    def group(self, name: str, title: str) -> Group:
        group = Group(name, title)
        self.groups.append(group)
        return group

    def write(self, path: str, indent: int | None = 1) -> None:
        text = json.dumps(
            {**self.about, "groups": [asdict(group) for group in self.groups]}, indent=indent
        )
        with open(path, "w") as f:
            f.write(text + "\n")
