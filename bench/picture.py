# SPDX-License-Identifier: GPL-2.0
"""The figures as an SVG: a panel of bars for each question.

Colours are the reader's: dark where the page is dark.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

WIDTH, MARGIN, GAP = 960, 32, 36
LABEL, VALUE = 330, 150
"""Left of a bar, and right of it."""
BAR, LINE = 13, 17
STYLE = """
svg { font-family: Inter, 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif; }
.paper { fill: #ffffff; } .ink { fill: #22272e; } .quiet { fill: #5f6975; }
.hair { stroke: #d5dae0; }
.ours { fill: #0b5c92; } .other { fill: #9aa7b4; } .range { stroke: #22272e; }
@media (prefers-color-scheme: dark) {
.paper { fill: #0d1117; } .ink { fill: #e6edf3; } .quiet { fill: #9198a1; }
.hair { stroke: #3d444d; }
.ours { fill: #4aa8e0; } .other { fill: #59636e; } .range { stroke: #e6edf3; }
}
"""


@dataclass(frozen=True)
class Panel:
    """Some rows of a table."""

    group: str
    title: str
    rows: tuple[str, ...]
    log: bool = False
    """Ten times as much is one step further."""


PANELS = (
    Panel(
        "outage",
        "Outage at a client, milliseconds: 50 hard cuts, 50 handovers",
        ("hard cut, median", "hard cut, maximum", "handed over, median", "handed over, maximum"),
        log=True,
    ),
    Panel("advertisements", "Instructions an advertisement", ("sent", "received and verified")),
    Panel(
        "share",
        "The processor's share, an advertisement a second from each virtual host",
        (
            "a master, 50 virtual hosts",
            "a backup, 50 virtual hosts",
            "a master, 255 virtual hosts",
            "a backup, 255 virtual hosts",
            "a master, 4,080 virtual hosts",
            "a backup, 4,080 virtual hosts",
        ),
        log=True,
    ),
    Panel(
        "packets",
        "Instructions a packet, generator and cable included",
        ("received, IPv4", "sent, IPv4", "to the parent, IPv4"),
    ),
    Panel(
        "creation",
        "To make a virtual host, thousand instructions",
        ("to make one of 50", "to make one of 255", "to make one of 4,080"),
    ),
    Panel(
        "pfsync",
        "Instructions to tell another firewall of a connection",
        ("a new connection: instructions", "all at once: instructions a state"),
    ),
)


def short(value: float, unit: str) -> str:
    size = abs(value)
    words = f"{value:,.0f}" if size >= 100 else f"{value:.3g}"
    return f"{words} {unit}".strip()


class Picture:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.y = MARGIN + 18.0

    def text(
        self, x: float, y: float, words: str, size: float, kind: str, end: bool = False
    ) -> None:
        anchor = ' text-anchor="end"' if end else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" class="{kind}"{anchor}>'
            f"{escape(words)}</text>"
        )

    def panel(self, panel: Panel, cells: list[dict[str, Any]]) -> None:
        shown = [
            cell for row in panel.rows for cell in cells if cell["row"] == row and "why" not in cell
        ]
        if not shown:
            return
        self.text(MARGIN, self.y, panel.title, 15, "ink")
        if panel.log:
            self.text(WIDTH - MARGIN, self.y, "logarithmic", 11, "quiet", end=True)
        self.y += 12
        most = max(cell["value"] for cell in shown)
        least = min((cell["value"] for cell in shown if cell["value"] > 0), default=1.0)
        floor = 10 ** math.floor(math.log10(least) - 0.2)
        left, room = MARGIN + LABEL, WIDTH - 2 * MARGIN - LABEL - VALUE
        top = self.y

        def length(value: float) -> float:
            if not panel.log:
                return room * max(value, 0) / most
            if value <= floor:
                return 1.0
            return room * math.log(value / floor) / math.log(most / floor)

        for row in panel.rows:
            self.y += 6
            first = True
            for cell in (cell for cell in shown if cell["row"] == row):
                middle = self.y + BAR - 3
                if first:
                    self.text(MARGIN, middle, row, 12, "ink")
                first = False
                self.text(left - 8, middle, cell["column"], 11, "quiet", end=True)
                kind = "ours" if cell["column"].startswith(("carp", "pfsync")) else "other"
                wide = length(cell["value"])
                self.parts.append(
                    f'<rect x="{left}" y="{self.y:.1f}" width="{wide:.1f}" height="{BAR}"'
                    f' class="{kind}"/>'
                )
                words = short(cell["value"], cell["unit"])
                self.text(left + wide + 6, middle, words, 11, "ink")
                self.y += LINE
        self.parts.append(
            f'<line x1="{left}" y1="{top}" x2="{left}" y2="{self.y:.1f}" class="hair"/>'
        )
        self.y += GAP


def draw(results: dict[str, Any]) -> str:
    picture = Picture()
    picture.text(MARGIN, picture.y, "CARP for Linux beside others", 22, "ink")
    picture.y += 22
    picture.text(
        MARGIN, picture.y,
        f"Linux {results['kernel']}, one guest in virtual time; shorter is better",
        12, "quiet",
    )  # fmt: skip
    picture.y += 34
    groups = {group["name"]: group for group in results["groups"]}
    for panel in PANELS:
        if panel.group in groups:
            picture.panel(panel, groups[panel.group]["cells"])
    height = round(picture.y)
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            "<!-- SPDX-License-Identifier: GPL-2.0 -->",
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
            f' width="{WIDTH}" height="{height}" role="img">',
            "<title>CARP for Linux beside others</title>",
            f"<style>{STYLE}</style>",
            '<rect width="100%" height="100%" class="paper"/>',
            *picture.parts,
            "</svg>",
            "",
        ]
    )
