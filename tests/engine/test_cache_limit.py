from __future__ import annotations

import os
from pathlib import Path

import msgspec

from repro.cases import Case, list_cases
from repro.data.housekeeping import list_stores
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.published import EMBEDDED, read_releases


def embedded_case(kind: str) -> Case:
    return next(c for c in list_cases(read_releases([EMBEDDED])) if c.kind == kind)


def geometries_after(cache: Path, limit: int | None, *planned: str) -> set[str]:
    """Measure a supervised and later a CLIP case; tell which stores there are then."""
    supervised, clip = embedded_case("supervised"), embedded_case("clip")
    settings = EngineSettings(cache=cache, device="cpu", limit=50, workers=2)
    Evaluator(settings).measure(supervised)
    for store in list_stores(cache):
        os.utime(store.path / "store.json", (10**9, 10**9))
    settings = msgspec.structs.replace(settings, cache_limit=limit)
    Evaluator(settings, map(embedded_case, planned)).measure(clip)
    return {store.identity.geometry for store in list_stores(cache)}


SUPERVISED = embedded_case("supervised").protocol.geometry
CLIP = embedded_case("clip").protocol.geometry
#: Bytes of both stores of 50 images, with room for their records.
BOTH = 2 * 50 * 3 * 28 * 28 + 5000


def test_without_a_limit_every_store_stays(tmp_path: Path) -> None:
    assert geometries_after(tmp_path, None) == {SUPERVISED, CLIP}


def test_a_limit_drops_what_no_case_of_the_run_wants(tmp_path: Path) -> None:
    assert geometries_after(tmp_path, 1000) == {CLIP}


def test_a_limit_that_both_fit_into_keeps_what_a_later_case_wants(
    tmp_path: Path,
) -> None:
    assert geometries_after(tmp_path, BOTH, "clip", "supervised") == {SUPERVISED, CLIP}


def test_a_limit_drops_even_what_a_later_case_wants(tmp_path: Path) -> None:
    assert geometries_after(tmp_path, 1000, "clip", "supervised") == {CLIP}


def test_a_limit_that_is_not_reached_keeps_every_store(tmp_path: Path) -> None:
    assert geometries_after(tmp_path, 10**9) == {SUPERVISED, CLIP}
