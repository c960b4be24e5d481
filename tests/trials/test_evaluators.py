from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.errors import InputError
from nas.testing import evaluators
from nas.trials.evaluators import check_not_loading, judge, read_evaluator


def said(function: Callable[..., Any], **options: Any) -> Any:
    return judge(function, "point", **{"epochs": 0, "seed": 0, "load": None, "save": None, **options})


@pytest.mark.parametrize(("function", "words"), evaluators.FAULTS.items())
def test_faults_are_reasons(function: Callable[..., Any], words: str) -> None:
    found = said(function)
    assert found.accuracy is None
    with pytest.raises(ValueError, match=words):
        raise ValueError(found.reason)


@pytest.mark.parametrize(
    "values", [[0.25], (0.25,), np.array([0.25]), np.array([0.25], dtype=np.float32), iter([0.25]), [np.float64(0.25)]]
)
def test_any_sequence_of_numbers_will_do(values: Any) -> None:
    assert said(lambda points: values).accuracy == 0.25


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0])
def test_the_ends_of_the_range_are_in_it(value: float) -> None:
    assert said(lambda points: [value]).accuracy == value


@pytest.mark.parametrize("value", [-0.001, 1.001, float("inf"), True, None, "0.5", [0.5], 1j])
def test_what_is_no_fraction_is_refused(value: Any) -> None:
    found = said(lambda points: [value])
    assert found.accuracy is None and "an accuracy must be" in found.reason


def test_an_evaluator_gets_what_it_has_names_for() -> None:
    got: list[dict[str, Any]] = []

    def plain(points: Sequence[Any]) -> list[float]:
        got.append({"points": list(points)})
        return [0.5]

    def seeded(points: Sequence[Any], seed: int) -> list[float]:
        got.append({"seed": seed})
        return [0.5]

    def rung(points: Sequence[Any], *, epochs: int, load: str | None, save: str | None) -> list[float]:
        got.append({"epochs": epochs, "load": load, "save": save})
        return [0.5]

    assert said(plain, seed=3).accuracy == said(seeded, seed=3).accuracy == 0.5
    assert said(rung, epochs=9, load="a", save="b").accuracy == 0.5
    assert got == [{"points": ["point"]}, {"seed": 3}, {"epochs": 9, "load": "a", "save": "b"}]


def test_a_text_names_a_function_and_both_are_one() -> None:
    named = read_evaluator("nas.testing.evaluators:fine")
    given = read_evaluator(evaluators.fine)
    assert named == given and given.reference == "nas.testing.evaluators:fine" and named.function is evaluators.fine
    assert read_evaluator(evaluators.goes_on).rungs == (1, 3, 9)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("score", "must be \"module:function\", but got 'score'"),
        ("no_such_module:score", "no_such_module must be a module that can be imported, but: No module named"),
        ("nas.testing.evaluators:score", "must have the function score, but has none"),
        ("nas.testing.evaluators:FAULTS", "must be a function, but is a dict"),
        ("nowhere.py:score", "nowhere.py must be a module that can be imported"),
    ],
)
def test_a_text_that_names_nothing_is_refused(reference: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_evaluator(reference)


def test_a_module_of_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scores_of_this_folder.py").write_text("def score(points):\n    return [0.125]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    assert said(read_evaluator("scores_of_this_folder:score").function).accuracy == 0.125
    assert said(read_evaluator(f"{tmp_path}/scores_of_this_folder.py:score").function).accuracy == 0.125


def test_a_file_that_begins_a_search_when_it_is_imported_is_told_how_not_to(tmp_path: Path) -> None:
    check_not_loading()
    script = tmp_path / "script.py"
    script.write_text("from nas.trials.evaluators import check_not_loading\ncheck_not_loading()\n")
    with pytest.raises(InputError, match="__main__"):
        read_evaluator(f"{script}:score")
    check_not_loading()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "import nas_has_no_such_name",
            "No module named .*; start from the folder that holds it, or install",
        ),
        ("score = nowhere", r"NameError: name 'nowhere' is not defined \(broken_scores.py:1\); mend it"),
        ("raise RuntimeError('CUDA driver too old')", "RuntimeError: CUDA driver too old"),
        ("import os; os.environ['NAS_TEST_NOT_SET']", "KeyError: 'NAS_TEST_NOT_SET'.*; mend it, or set what it needs"),
        ("raise AttributeError('score')", "AttributeError: score"),
        ("import sys; sys.exit('usage: score.py DATA')", "SystemExit: usage: score.py DATA"),
        ("def score(points:", r"\(broken_scores.py, line 1\)"),
    ],
)
def test_a_module_that_fails_when_it_is_imported_is_told(
    line: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_scores.py").write_text(f"{line}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    for module in ("broken_scores", str(tmp_path / "broken_scores.py")):
        with pytest.raises(InputError, match=f"broken_scores.* must be a module that can be imported, but: .*{words}"):
            read_evaluator(f"{module}:score")
    check_not_loading()


def test_what_no_other_process_finds_says_what_to_do() -> None:
    def inside(points: Sequence[Any]) -> list[float]:
        return [0.5]

    class Judge:
        def __call__(self, points: Sequence[Any]) -> list[float]:
            return [0.5]

        def method(self, points: Sequence[Any]) -> list[float]:
            return [0.5]

    for function in (inside, lambda points: [0.5], Judge(), Judge().method, functools.partial(evaluators.fine)):
        assert said(function).accuracy == 0.5
        with pytest.raises(InputError, match=r'no function at the top of a module; put .* evaluate="module:function"'):
            read_evaluator(function).required_reference()


@pytest.mark.parametrize("rungs", [(3, 1), (1, 1), (0, 1), ("1",), 3, "39", None])
def test_rungs_ascend(rungs: Any) -> None:
    def score(points: Sequence[Any], epochs: int) -> list[float]:
        return [0.5]

    score.rungs = rungs  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="rungs must be ascending"):
        read_evaluator(score)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(InputError, match="must be a function"):
        read_evaluator(3)  # type: ignore[arg-type]
