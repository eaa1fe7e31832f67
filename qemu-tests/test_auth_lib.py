# SPDX-License-Identifier: GPL-2.0
"""What tests of authentication stand on: trailers as bytes. No module of ours is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lib import auth_wire as a
from lib.frames import checksum

VECTORS = json.loads((Path(__file__).parent / "vectors/auth.json").read_text())


def trailer(case: dict[str, Any]) -> a.Trailer:
    return a.Trailer(*(case[name] for name in ("key_id", "seconds", "fraction", "counter")))


def noted(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=case["note"].replace(" ", "-")) for case in cases]


@pytest.mark.parametrize("case", noted(VECTORS["advertisements"]))
def test_trailers_of_advertisements(case: dict[str, Any]) -> None:
    body, key = bytes.fromhex(case["advertisement"]), bytes.fromhex(case["key"])
    covered = a.advertisement_input(case["source"], body, trailer(case))
    assert covered.hex() == case["input"]
    assert a.full_hmac(key, covered).hex() == case["hmac"]
    signed = a.sign_advertisement(key, case["source"], body, trailer(case))
    assert signed.hex() == case["advertisement"] + case["trailer"]
    assert checksum(signed) == checksum(body) == 0
    assert a.verify_advertisement(key, case["source"], signed)
    assert not a.verify_advertisement(key, "10.99.99.99", signed)
    assert not a.verify_advertisement(key, case["source"], body)


@pytest.mark.parametrize("case", noted(VECTORS["frames"]))
def test_trailers_of_frames(case: dict[str, Any]) -> None:
    frame, key = bytes.fromhex(case["frame"]), bytes.fromhex(case["key"])
    signed = a.sign_frame(key, case["source"], frame, trailer(case))
    assert signed.hex() == case["signed"]
    covered = a.frame_input(case["source"], signed)
    assert covered.hex() == case["input"]
    assert a.full_hmac(key, covered).hex() == case["hmac"]
    assert a.verify_frame(key, case["source"], signed)
    assert a.verify_frame(key, case["source"], signed + b"what follows is no part of it")
    assert not a.verify_frame(key, "10.99.99.99", signed)
    assert not a.verify_frame(key, case["source"], frame)


@pytest.mark.parametrize("case", noted(VECTORS["malformed_trailers"]))
def test_what_is_no_trailer(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["trailer"])
    found = a.advertisement_trailer(bytes(36) + data)
    assert found is None or found.problem(neutral=True)


@pytest.mark.parametrize("case", noted(VECTORS["malformed_frames"]))
def test_what_is_no_signed_frame(case: dict[str, Any]) -> None:
    found = a.frame_trailer(bytes.fromhex(case["frame"]))
    assert found is None or found.problem(neutral=False)
