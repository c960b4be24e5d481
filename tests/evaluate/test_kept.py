"""Compiled spaces that are kept: the same table, found again, and never a wrong one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nas
from nas.evaluate import Limits, Models, SpaceProblem
from nas.evaluate import kept as module
from nas.evaluate.kept import MOST, content_key
from nas.space.compile.compiled import CompiledSpace
from nas.space.search_space import SearchSpace
from tests.evaluate.hand import HandAccuracy, mixed_latency, rows_for, three_layers
from tests.space.examples import EARLY, ENDS, TINY, space_of


def _models(limits: Limits | None = None) -> Models:
    return Models(nas.load_latency("iphone12"), nas.load_accuracy("imagenet"), limits or Limits())


def _refuse(*arguments: object, **options: object) -> None:
    raise AssertionError("a kept table must do")


@pytest.mark.parametrize("text", [TINY, EARLY, ENDS])
def test_a_kept_table_serves_without_building_anything(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = space_of(text)
    codes = space.sample_codes(50, np.random.default_rng(0))
    first = SpaceProblem(space, _models(), exact=True, kept=tmp_path)
    monkeypatch.setattr("nas.space.compile.compiled.build_batch", _refuse)
    again = SpaceProblem(space, _models(), exact=True, kept=tmp_path)
    for name in ("score", "bounded_ms", "accuracy"):
        assert np.array_equal(getattr(first.evaluate(codes), name), getattr(again.evaluate(codes), name))


def test_a_damaged_file_is_compiled_again(tmp_path: Path) -> None:
    space, models = space_of(TINY), _models()
    whole = models.compile(space, kept=tmp_path)
    (file,) = tmp_path.glob("*.npz")
    good = file.read_bytes()
    flipped = good[: len(good) // 2] + bytes([good[len(good) // 2] ^ 1]) + good[len(good) // 2 + 1 :]
    for damage in (good[:100], b"", b"x" * 100, flipped):
        file.write_bytes(damage)
        assert np.array_equal(models.compile(space, kept=tmp_path).table, whole.table)
        assert file.read_bytes() == good


def test_whatever_changes_the_table_changes_the_key() -> None:
    space, accuracy = space_of(TINY), nas.load_accuracy("imagenet")
    iphone, pixel = nas.load_latency("iphone12"), nas.load_latency("pixel3-cpu")
    rows = rows_for(three_layers(), {0: (0.8, 1.0, 1.25)})
    wider: SearchSpace = replace(space, stages=(replace(space.stages[0], width=(8, 24)), *space.stages[1:]))
    keys = [
        content_key(space, [iphone], accuracy),
        content_key(wider, [iphone], accuracy),
        content_key(replace(space, num_classes=7), [iphone], accuracy),
        content_key(space, [pixel], accuracy),
        content_key(space, [iphone, pixel], accuracy),
        content_key(space, [mixed_latency(rows)], accuracy),
        content_key(space, [mixed_latency(rows_for(three_layers(), {0: (0.8, 1.1, 1.25)}))], accuracy),
        content_key(space, [iphone], accuracy, "peaks"),
    ]
    assert len(set(keys)) == len(keys)
    assert content_key(replace(space, source="elsewhere.yaml"), [iphone], accuracy) == keys[0]
    assert content_key(space, [iphone], HandAccuracy()) is None  # nobody knows what it reads


def test_few_tables_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    for classes in (2, 3, 4):
        _models().compile(replace(space_of(TINY), num_classes=classes), kept=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 2 < MOST


def test_a_table_of_another_size_is_refused() -> None:
    space = space_of(TINY)
    with pytest.raises(ValueError, match="the table must be"):
        CompiledSpace(space, lambda batch, sides: np.zeros((len(sides), 0)), names=(), table=np.zeros((2, 2)))
