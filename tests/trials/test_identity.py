from __future__ import annotations

import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.testing.pace import pace_s
from nas.trials.identity import identity_of, name_of


def made(content: Any, calls: list[int] | None = None) -> Callable[..., Any]:
    def score(points: Any) -> Any:
        if calls is not None:
            calls.append(1)
        return content

    return score


class Table:
    def __init__(self, content: Any) -> None:
        self.content = content

    def __call__(self, points: Any) -> Any:
        return self.content

    def score(self, points: Any) -> Any:
        return self.content


@pytest.mark.parametrize("wrap", [made, Table, lambda content: Table(content).score, lambda c: partial(max, c)])
@pytest.mark.parametrize(
    ("content", "other"),
    [
        (1, 2), (1, 1.0), ("a", "b"), ({"a": 1}, {"a": 2}), ([1, 2], [2, 1]), ({1, 2}, {1, 3}),
        (np.arange(3), np.arange(4)), (np.zeros(2), np.zeros(2, dtype=np.float32)),
        (np.random.default_rng(0), np.random.default_rng(1)), (Table([1]), Table([2])), (made(1), made(2)),
    ],
)  # fmt: skip
def test_contents_tell_functions_apart(wrap: Callable[[Any], Any], content: Any, other: Any) -> None:
    assert identity_of(wrap(content)) == identity_of(wrap(content)) != identity_of(wrap(other))


def test_code_tells_functions_apart() -> None:
    def one(points: Any) -> Any:
        return [0.5]

    first = identity_of(one)

    def one(points: Any) -> Any:  # type: ignore[no-redef]
        return [0.6]

    assert name_of(one) == first.partition("#")[0] and identity_of(one) != first


def test_what_a_function_names_in_its_module_belongs_to_it(tmp_path: Path) -> None:
    def identity(text: str) -> str:
        path = tmp_path / "scores.py"
        path.write_text(text)
        return identity_of(runpy.run_path(str(path), run_name="scores")["score"])

    texts = [
        f"BEST = {best}\ndef train(x):\n    return x {sign} BEST\ndef score(points):\n    return [train(1)]"
        for best in (1, 2)
        for sign in "+-"
    ]
    assert len({identity(text) for text in texts}) == 4 and identity(texts[0]) == identity(texts[0] + "\nOTHER = 3\n")
    assert identity(texts[0]).startswith("scores:score#")


def test_a_script_that_runs_is_called_as_if_it_were_imported(tmp_path: Path) -> None:
    path = tmp_path / "scores.py"
    path.write_text(
        "from nas.trials.identity import identity_of\ndef score(points):\n    return points\nprint(identity_of(score))"
    )
    said = [
        subprocess.run(
            [sys.executable, *words], env={"PYTHONPATH": ":".join(sys.path)}, cwd=tmp_path, capture_output=True,
            text=True, check=True,
        ).stdout
        for words in (["scores.py"], ["-c", "import scores"], ["-m", "scores"])
    ]  # fmt: skip
    assert len(set(said)) == 1 and said[0].startswith("scores:score#")


def test_a_function_that_counts_its_calls_stays_what_it_was() -> None:
    calls: list[int] = []
    score = made([0.5], calls)
    before = identity_of(score)
    score([])
    assert calls == [1] and identity_of(score) == before != identity_of(made([0.5], calls))


def test_what_holds_itself_ends() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert identity_of(made(loop)) == identity_of(made(loop))


def test_objects_that_know_each_other_are_read_once_each() -> None:
    many = [Table(None) for _ in range(200)]
    for one in many:
        one.content = many
    before = time.process_time()
    identity_of(made(many))
    assert time.process_time() - before < 100 * pace_s()  # 200 to the power of 4 of them would take a day


def test_every_process_says_the_same() -> None:
    code = (
        "from nas.testing import evaluators; from nas.trials.identity import identity_of;"
        "print(identity_of(evaluators.words), identity_of(evaluators.goes_on))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(said) == 1 and next(iter(said)).startswith("nas.testing.evaluators:words#")
