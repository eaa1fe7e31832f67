# SPDX-License-Identifier: GPL-2.0
"""picture.py RECORDING SVG: draws what story.py recorded as a timeline.

Above, the whole run: a lane for each host, coloured by its state, with its
advertisements below, and one for the client's pings. Under it, the few
milliseconds around each handover.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from recording import MILLISECOND, SECOND, Handover, Host, Ping, Recording

WIDTH = 1280
MARGIN = 40
LEFT, RIGHT = 128, WIDTH - MARGIN
"""Where time begins and ends."""

INK = "#22272e"
QUIET = "#5f6975"
HAIR = "#d5dae0"
PAPER = "#ffffff"
PANEL = "#f7f8fa"
STATES = {
    # fill and the ink on it; told apart by lightness, too
    "init": ("#e6e8eb", "#5f6975"),
    "backup": ("#bcdcf2", "#17405c"),
    "master": ("#0b5c92", "#ffffff"),
}
ANSWERED = {"alpha": ("#0f8a68", "#ffffff"), "beta": ("#8fd3bd", "#0b4635")}
LOST = "#c8460a"
LOST_FILL = "#fde3d6"
FONT = "Inter, 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif"

SILENT = 20 * MILLISECOND
"""Replies further apart than this are a gap in the client's band."""


def text_width(text: str, size: float) -> float:
    """An upper bound, for a viewer chooses its own font."""
    return len(text) * size * 0.57


class Svg:
    """A drawing that grows."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def tag(self, name: str, content: str = "", /, **attributes: object) -> None:
        words = "".join(
            f" {key.rstrip('_').replace('_', '-')}={quoteattr(self.value(value))}"
            for key, value in attributes.items()
        )
        self.parts.append(f"<{name}{words}>{content}</{name}>" if content else f"<{name}{words}/>")

    @staticmethod
    def value(value: object) -> str:
        return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)

    def rect(self, x: float, y: float, width: float, height: float, **attributes: object) -> None:
        self.tag("rect", x=x, y=y, width=max(width, 0.0), height=height, **attributes)

    def line(self, x1: float, y1: float, x2: float, y2: float, **attributes: object) -> None:
        self.tag("line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)

    def text(self, x: float, y: float, words: str, size: float = 13, **attributes: object) -> None:
        self.tag("text", escape(words), x=x, y=y, font_size=size, **{"fill": INK, **attributes})


@dataclass(frozen=True)
class Scale:
    """Time to the right."""

    start: int
    end: int
    left: float
    right: float

    def __call__(self, time: int) -> float:
        share = (time - self.start) / (self.end - self.start)
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)

    def shows(self, time: int) -> bool:
        return self.start <= time <= self.end


def phases(host: Host, end: int) -> list[tuple[int, int, str]]:
    """From when to when the host was in which state."""
    ends = [change.time for change in host.changes[1:]] + [end]
    return [(c.time, e, c.state) for c, e in zip(host.changes, ends, strict=True)]


def heard(advertisement: int, by: Host) -> bool:
    """Whether an advertisement reached the other host."""
    return any(0 <= a.time - advertisement < MILLISECOND for a in by.heard)


def answered_spans(recording: Recording) -> list[tuple[int, int, str]]:
    """From when to when the client was answered, and by which host."""
    samples = sorted((time, host.name) for host in recording.hosts for time in host.answered)
    replies = sorted(p.received for p in recording.pings if p.received)
    # where one host's answers give way to the other's
    turns = [(a[0] + b[0]) // 2 for a, b in itertools.pairwise(samples) if a[1] != b[1]]
    spans: list[tuple[int, int, str]] = []
    start = replies[0]
    for a, b in itertools.pairwise([*replies, 1 << 62]):
        turn = next((t for t in turns if a < t <= b), None)
        if turn is None and b - a <= SILENT:
            continue
        inside = [name for time, name in samples if start <= time <= a]
        spans.append((start, a, inside[0] if inside else ""))
        start = b
    return spans


class Picture:
    """The whole drawing of one recording."""

    TOP = 176
    BAR = 40
    LANE = 86
    PANEL = 248

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.svg = Svg()
        self.dots: list[tuple[float, float]] = []
        self.scale = Scale(0, recording.end, LEFT, RIGHT)
        self.lane = {host.name: self.TOP + i * self.LANE for i, host in enumerate(recording.hosts)}
        self.lane["client"] = self.TOP + len(recording.hosts) * self.LANE
        self.axis = self.lane["client"] + self.BAR + 18
        self.panels = self.axis + 126
        self.height = self.panels + self.PANEL + MARGIN

    def draw(self) -> str:
        self.heading()
        self.time_axis()
        self.labels()
        for host in self.recording.hosts:
            self.host(host)
        self.client()
        for x, y in self.dots:
            self.svg.tag("circle", cx=x, cy=y, r=3.6, fill=INK, stroke=PAPER, stroke_width=1)
        self.legend()
        self.svg.text(
            MARGIN,
            self.panels - 18,
            "Six milliseconds around each change of master",
            16,
            font_weight=600,
        )
        count = len(self.recording.handovers)
        gap = 28
        width = (WIDTH - 2 * MARGIN - gap * (count - 1)) / count
        for i, handover in enumerate(self.recording.handovers):
            self.panel(handover, MARGIN + i * (width + gap), width)
        body = "\n".join(self.svg.parts)
        return f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- SPDX-License-Identifier: GPL-2.0 -->
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" \
height="{self.height}" role="img" font-family="{FONT}">
<title>Two hosts share {self.recording.address} with CARP</title>
<desc>{escape(self.description())}</desc>
<defs>
<pattern id="cut" width="8" height="8" patternUnits="userSpaceOnUse" \
patternTransform="rotate(45)">
<rect width="3.5" height="8" fill="{PAPER}" fill-opacity="0.38"/></pattern>
</defs>
<rect width="100%" height="100%" fill="{PAPER}"/>
{body}
</svg>
"""

    def description(self) -> str:
        """The picture in words, for who cannot see it."""
        words = [f"{label.text} at {label.time / SECOND:.3f} s" for label in self.recording.labels]
        for handover in self.recording.handovers:
            words.append(f"{handover.title}: {' '.join(handover.lines)}")
        return ". ".join(words) + "."

    def heading(self) -> None:
        alpha, beta = self.recording.hosts
        self.svg.text(
            MARGIN, 50, f"Two hosts share {self.recording.address} with CARP", 24, font_weight=600
        )
        self.svg.text(
            MARGIN,
            76,
            f"{alpha.name} has advskew {alpha.advskew}, {beta.name} has advskew {beta.advskew}; "
            f"a client pings the address every millisecond. One run on Linux "
            f"{self.recording.kernel}, every mark measured.",
            13.5,
            fill=QUIET,
        )

    def time_axis(self) -> None:
        top = self.TOP - 8
        for second in range(self.recording.end // SECOND + 1):
            x = self.scale(second * SECOND)
            self.svg.line(x, top, x, self.axis, stroke=HAIR, stroke_width=1)
            words = f"{second} s" if second == 0 else str(second)
            self.svg.text(x, self.axis + 17, words, 12, fill=QUIET, text_anchor="middle")

    def labels(self) -> None:
        """Above the lanes, as low as there is room, each with a line to its lane."""
        size, pitch = 13, 20
        # A text may lie across the lines of labels further right, but only above
        # where those begin; so from the right.
        placed: list[tuple[float, float, int]] = []
        for label in sorted(self.recording.labels, key=lambda label: -label.time):
            x = self.scale(label.time)
            width = text_width(label.text, size)
            start = min(x - 3, RIGHT - width)
            under = [row for left, _, row in placed if left < start + width + 10]
            row = min(max(under, default=-1) + 1, 2)
            placed.append((start, start + width, row))
            y = self.TOP - 22 - row * pitch
            lane = self.lane[label.host]
            self.svg.line(x, y + 5, x, lane, stroke=INK, stroke_width=1, stroke_opacity=0.6)
            self.svg.text(start, y, label.text, size)
            self.dots.append((x, lane))

    def lane_name(self, name: str, below: str) -> None:
        y = self.lane[name]
        self.svg.text(MARGIN, y + 19, name, 16, font_weight=600)
        self.svg.text(MARGIN, y + 36, below, 12, fill=QUIET)

    def bar_text(
        self,
        x1: float,
        x2: float,
        y: float,
        words: str,
        fill: str,
        back: str = "",
        size: float = 13,
    ) -> None:
        """Words in the middle of a bar, where they fit; on a ground of their own."""
        width, x = text_width(words, size), (x1 + x2) / 2
        if width + 8 > x2 - x1:
            return
        if back:
            left, height = x - width / 2 - 4, size * 1.4
            self.svg.rect(left, y - size * 1.06, width + 8, height, fill=back)
        self.svg.text(x, y, words, size, fill=fill, text_anchor="middle")

    def state_bar(
        self, host: Host, scale: Scale, y: float, height: float, size: float, cut_off: str
    ) -> None:
        """A host's states along the time; hatched while its port is dead."""
        base = y + height / 2 + size * 0.36
        for start, end, state in phases(host, self.recording.end):
            if end < scale.start or start > scale.end:
                continue
            fill, ink = STATES[state]
            x1, x2 = scale(start), scale(end)
            self.svg.rect(x1, y, x2 - x1, height, fill=fill)
            cuts = [c for c in host.cut if c[0] < min(end, scale.end) and c[1] > start]
            if not cuts:
                self.bar_text(x1, x2, base, state.upper(), ink, size=size)
            for cut in cuts:
                middle, right = scale(max(cut[0], start)), scale(min(cut[1], end))
                self.svg.rect(middle, y, right - middle, height, fill="url(#cut)")
                self.bar_text(x1, middle, base, state.upper(), ink, size=size)
                self.bar_text(middle, right, base, state.upper() + cut_off, ink, fill, size)

    def host(self, host: Host) -> None:
        y = self.lane[host.name]
        self.lane_name(host.name, f"advskew {host.advskew}")
        self.state_bar(host, self.scale, y, self.BAR, 13, ", and nobody hears it")
        self.advertisements(host, self.scale, y + self.BAR + 5, 12)
        self.patience(host, y + self.BAR + 11)

    def patience(self, host: Host, y: float) -> None:
        """From the last advertisement that it heard until it took over."""
        for change in host.changes:
            last = max((a.time for a in host.heard if a.time < change.time), default=None)
            waited = change.time - last if last is not None else 0
            if change.state == "master" and abs(waited - host.patience) < 5 * MILLISECOND:
                words = f"{waited / 1e6:,.1f} ms of silence"
                self.dimension(self.scale(change.time - waited), self.scale(change.time), y, words)

    def dimension(
        self, x1: float, x2: float, y: float, words: str, colour: str = INK, weight: int = 400
    ) -> None:
        """A length, as draughtsmen note it: |<--- words --->|"""
        half = text_width(words, 13) / 2 + 6
        middle = (x1 + x2) / 2
        for tip, inner, way in ((x1, middle - half, 1), (x2, middle + half, -1)):
            self.svg.line(tip, y - 6, tip, y + 6, stroke=colour, stroke_width=1.2)
            if (inner - tip) * way > 12:
                self.svg.line(tip, y, inner, y, stroke=colour, stroke_width=1.2)
                head = f"M{tip + way * 7:.1f} {y - 3.5} L{tip + way:.1f} {y} l{way * 6} 3.5"
                self.svg.tag("path", d=head, fill="none", stroke=colour, stroke_width=1.2)
        self.svg.text(
            middle, y + 4.5, words, 13, fill=colour, text_anchor="middle", font_weight=weight
        )

    def advertisements(self, host: Host, scale: Scale, y: float, height: float) -> None:
        other = next(h for h in self.recording.hosts if h is not host)
        for a in host.sent:
            if scale.shows(a.time):
                self.advertisement(scale(a.time), y, height, a.farewell, heard(a.time, other))

    def advertisement(self, x: float, y: float, height: float, farewell: bool, heard: bool) -> None:
        """A tick; lighter if it reached nobody, with a foot if it is the last one."""
        colour, opacity = LOST if farewell else INK, 1 if heard else 0.28
        self.svg.line(x, y, x, y + height, stroke=colour, stroke_width=2, stroke_opacity=opacity)
        if farewell:
            self.svg.tag("circle", cx=x, cy=y + height, r=3.6, fill=colour, fill_opacity=opacity)

    def client(self) -> None:
        y = self.lane["client"]
        self.lane_name("client", "1,000 pings/s")
        spans = answered_spans(self.recording)
        for (_, end, _), (start, _, _) in itertools.pairwise(spans):
            if start - end > SILENT:
                self.gap(end, start)
        for start, end, name in spans:
            fill, ink = ANSWERED[name]
            # a handover without a gap shall not look like one
            following = next((s for s, _, _ in spans if 0 < s - end <= SILENT), end)
            x1, x2 = self.scale(start), self.scale(following)
            self.svg.rect(x1, y, x2 - x1, self.BAR, fill=fill)
            for words in (f"answered by {name}", name):
                if text_width(words, 13) + 8 <= x2 - x1:
                    self.bar_text(x1, x2, y + 25, words, ink)
                    break

    def gap(self, start: int, end: int) -> None:
        """A time without replies, and how long it was."""
        y, x1, x2 = self.lane["client"], self.scale(start), self.scale(end)
        self.svg.rect(x1, y, x2 - x1, self.BAR, fill=LOST_FILL)
        words = f"no reply for {(end - start) / 1e6:,.0f} ms"
        self.dimension(x1 + 1, x2 - 1, y + self.BAR / 2, words, LOST, 600)

    def legend(self) -> None:
        y, x = self.axis + 52, float(LEFT)
        size = 12.5

        def entry(words: str, width: float) -> float:
            self.svg.text(x + width + 7, y + 4, words, size, fill=QUIET)
            return x + width + 7 + text_width(words, size) + 20

        for state, (fill, _) in STATES.items():
            self.svg.rect(x, y - 7, 22, 14, fill=fill)
            x = entry(state.upper(), 22)
        self.svg.rect(x, y - 7, 22, 14, fill=STATES["master"][0])
        self.svg.rect(x, y - 7, 22, 14, fill="url(#cut)")
        x = entry("cut off", 22)
        self.advertisement(x + 4, y - 6, 12, False, True)
        x = entry("advertisement", 8)
        self.advertisement(x + 4, y - 6, 12, False, False)
        x = entry("unheard", 8)
        self.advertisement(x + 4, y - 7, 10, True, True)
        x = entry("farewell", 8)
        self.svg.tag("circle", cx=x + 5, cy=y, r=4, fill=ANSWERED["alpha"][0])
        x = entry("ping answered", 10)
        self.cross(x + 5, y)
        entry("lost", 10)

    def cross(self, x: float, y: float) -> None:
        self.svg.tag(
            "path",
            d=f"M{x - 3.5:.1f} {y - 3.5:.1f} l7 7 m0 -7 l-7 7",
            fill="none",
            stroke=LOST,
            stroke_width=2,
        )

    def panel(self, handover: Handover, x: float, width: float) -> None:
        """What happened around a handover, six milliseconds of it."""
        top = self.panels
        self.svg.rect(x, top, width, self.PANEL, fill=PANEL, stroke=HAIR, rx=6)
        self.svg.text(x + 18, top + 29, handover.title, 15, font_weight=600)
        for i, line in enumerate(handover.lines):
            self.svg.text(x + 18, top + 50 + i * 18, line, 12.5, fill=QUIET)

        half = 3 * MILLISECOND
        scale = Scale(handover.time - half, handover.time + half, x + 72, x + width - 30)
        names = [*(host.name for host in self.recording.hosts), "client"]
        rows = {name: top + 92 + i * 42 for i, name in enumerate(names)}
        foot = top + 204
        for ms in range(-3, 4):
            at = scale(handover.time + ms * MILLISECOND)
            self.svg.line(at, top + 86, at, foot, stroke=HAIR, stroke_width=1)
            sign = "+" if ms > 0 else "\N{MINUS SIGN}" if ms < 0 else ""
            words = f"{sign}{abs(ms)}" + (" ms" if ms == 0 else "")
            self.svg.text(at, foot + 18, words, 11.5, fill=QUIET, text_anchor="middle")
        for name, y in rows.items():
            self.svg.text(x + 18, y + 12.5, name, 12.5)
        for host in self.recording.hosts:
            y = rows[host.name]
            self.state_bar(host, scale, y, 17, 10.5, "")
            self.advertisements(host, scale, y + 20, 9)
        for ping in self.recording.pings:
            if scale.shows(ping.sent):
                self.ping(scale(ping.sent), rows["client"] + 8.5, ping)

    def ping(self, x: float, y: float, ping: Ping) -> None:
        if ping.received:
            self.svg.tag("circle", cx=x, cy=y, r=4, fill=ANSWERED["alpha"][0])
        else:
            self.cross(x, y)


def main() -> int:
    source, target = map(Path, sys.argv[1:])
    target.write_text(Picture(Recording.load(source)).draw())
    return 0


if __name__ == "__main__":
    sys.exit(main())
