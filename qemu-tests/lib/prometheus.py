# SPDX-License-Identifier: GPL-2.0
"""Prometheus' text format, version 0.0.4, read strictly.

Written from the format's specification ("Exposition formats") and from what promtool
complains of, not from the code under test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
VALUE = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|NaN|[+-]Inf")
HELP = re.compile(r"([^\\\n]|\\\\|\\n)+")
ESCAPED = {"\\": "\\", '"': '"', "n": "\n"}
TYPES = ("counter", "gauge")
"""Those that carpctl uses."""

Labels = frozenset[tuple[str, str]]


@dataclass
class Metric:
    """A metric and its samples, by their labels."""

    name: str
    help: str = ""
    type: str = ""
    samples: dict[Labels, float] = field(default_factory=dict)

    def __getitem__(self, labels: dict[str, str]) -> float:
        return self.samples[frozenset(labels.items())]

    def by(self, *names: str) -> dict[tuple[str, ...], float]:
        """The samples by the values of these labels."""
        found = {}
        for labels, value in self.samples.items():
            values = dict(labels)
            key = tuple(values[name] for name in names)
            assert key not in found, f"{self.name}: {key} is there twice"
            found[key] = value
        return found


class _Line:
    """What is still to be read of a line."""

    def __init__(self, text: str) -> None:
        self.text = self.rest = text

    def take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.rest)
        assert found, f"{self.text!r}: {self.rest!r} is not {pattern.pattern}"
        self.rest = self.rest[found.end() :]
        return found[0]

    def skip(self, text: str) -> bool:
        if not self.rest.startswith(text):
            return False
        self.rest = self.rest[len(text) :]
        return True

    def expect(self, text: str) -> None:
        assert self.skip(text), f"{self.text!r}: {text!r} is expected before {self.rest!r}"

    def label_value(self) -> str:
        self.expect('"')
        value = ""
        while not self.skip('"'):
            assert self.rest, f"{self.text!r} ends within a value"
            character, self.rest = self.rest[0], self.rest[1:]
            if character == "\\":
                assert self.rest and self.rest[0] in ESCAPED, f"{self.text!r}: bad escape"
                character, self.rest = ESCAPED[self.rest[0]], self.rest[1:]
            value += character
        return value

    def labels(self) -> Labels:
        found: dict[str, str] = {}
        if self.skip("{"):
            while True:
                name = self.take(LABEL)
                assert name not in found, f"{self.text!r}: {name} is there twice"
                assert not name.startswith("__"), f"{self.text!r}: {name} is reserved"
                self.expect("=")
                found[name] = self.label_value()
                if self.skip("}"):
                    break
                self.expect(",")
        return frozenset(found.items())


def parse(page: str) -> dict[str, Metric]:
    """All metrics of a page; an AssertionError says what is wrong with it."""
    assert page == "" or page.endswith("\n"), "the last line has no end"
    metrics: dict[str, Metric] = {}
    current: Metric | None = None
    for text in page.split("\n")[:-1]:
        line = _Line(text)
        if line.skip("# HELP "):
            current = Metric(line.take(METRIC))
            assert current.name not in metrics, f"{current.name} begins twice"
            metrics[current.name] = current
            line.expect(" ")
            current.help = line.take(HELP)
        elif line.skip("# TYPE "):
            name = line.take(METRIC)
            assert current and name == current.name, f"{text!r} is not behind its HELP"
            assert not current.type and not current.samples, f"{text!r} comes late"
            line.expect(" ")
            current.type, line.rest = line.rest, ""
            assert current.type in TYPES, text
        else:
            name = line.take(METRIC)
            assert current and name == current.name, f"{text!r} is apart from its metric"
            assert current.type, f"{text!r} has no type"
            labels = line.labels()
            line.expect(" ")
            value = float(line.take(VALUE))
            assert labels not in current.samples, f"{text!r} is there twice"
            assert current.type == "gauge" or value >= 0, f"{text!r}: a counter below 0"
            current.samples[labels] = value
        assert line.rest == "", f"{text!r}: {line.rest!r} is too much"
    for metric in metrics.values():
        lint(metric)
    return metrics


def lint(metric: Metric) -> None:
    """What promtool complains of, in a page that is well formed."""
    name = metric.name
    assert metric.help, f"{name} has no help"
    assert metric.samples, f"{name} has no sample"
    assert (metric.type == "counter") == name.endswith("_total"), f"{name} is a {metric.type}"
    assert not re.search(r"_(count|sum|bucket|counter|gauge)$", name), name
    assert not re.search(r"_(ms|millis|milliseconds|minutes|hours|kb|kib)(_|$)", name), name
    assert ":" not in name and name == name.lower(), name
    for labels in metric.samples:
        for label, _ in labels:
            assert label == label.lower() and label not in ("le", "quantile"), f"{name}: {label}"
