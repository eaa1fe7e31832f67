# SPDX-License-Identifier: GPL-2.0
"""Much happens, at random; see lib.soak. `make soak` lets it happen for an hour."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from lib.lan import Lan
from lib.soak import Soak

pytestmark = pytest.mark.usefixtures("pfsync")


def test_soak(
    make_lan: Callable[..., Lan],
    seed: int,
    soak_seconds: float,
    figure: Callable[[str, float, str], None],
) -> None:
    soak = Soak(make_lan(3), seed)
    soak.quiet()
    end = time.monotonic() + soak_seconds
    happened, quiets = 0, 0
    while time.monotonic() < end:
        burst = []
        for _ in range(soak.dice.randrange(5, 20)):
            burst.append(soak.happen())
            time.sleep(soak.dice.choice((0, 0.01, 0.1, 1, 4)))
        happened += len(burst)
        try:
            soak.quiet()
        except AssertionError as error:
            burst.append(f"{soak.differences()}")
            raise AssertionError(f"{error}, after:\n" + "\n".join(burst)) from error
        quiets += 1
    figure("soak: happenings", happened, "")
    figure("soak: times when all was as it should be", quiets, "")
