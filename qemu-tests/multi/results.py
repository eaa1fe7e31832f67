# SPDX-License-Identifier: GPL-2.0
"""A plug-in for pytest: says at the end "N passed, N failed", as all parts of the tests do.
A test that passed and whose fixture failed counts as failed."""

from __future__ import annotations

import sys

import pytest

failed_tests: set[str] = set()
passed_tests: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.outcome != "passed":
        failed_tests.add(report.nodeid)
    elif report.when == "call":
        passed_tests.add(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        failed_tests.add(report.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    passed = len(passed_tests - failed_tests)
    sys.stdout.write(f"{passed} passed, {len(failed_tests)} failed\n")
