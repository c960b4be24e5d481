from __future__ import annotations

import math

import pytest

from nas.errors import InputError
from nas.pages import of_result, of_run, page_of
from tests.pages import documents


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (documents.search(), "search"),
        (documents.trials(), "search"),
        (documents.targets(), "search"),
        (documents.adapted(), "adapt"),
        (documents.trained(), "train"),
        (documents.study(), "study"),
        (documents.build(), "build"),
        (documents.check(), "check"),
        (documents.sustained(), "sustained"),
        (documents.run(documents.trained(), "train"), "train"),
    ],
)
def test_a_document_says_itself_of_what_kind_it_is(result: dict[str, object], kind: str) -> None:
    assert of_result(result)["kind"] == kind


def test_texts_are_printable_and_numbers_are_numbers() -> None:
    found = of_result({"best": {"name": "a\x1b[31m\u202eb", "n": math.nan, "m": [math.inf, 1.5]}})["result"]
    assert found == {"best": {"name": "a\\u001b[31m\\u202eb", "n": None, "m": [None, 1.5]}}


def test_what_is_no_result_is_said_to_be_none() -> None:
    with pytest.raises(InputError, match=r"this one has the keys foo; name a run"):
        of_result({"foo": 1})
    with pytest.raises(
        InputError, match=r"run 20261129-100000-abcd has left none \(it failed\); run its command again"
    ):
        of_run({**documents.run({}, "search"), "result": None, "status": "failed"})
    deep: dict[str, object] = {"best": {}}
    for _ in range(100):
        deep = {"best": deep}
    with pytest.raises(InputError, match="nested at most 60 deep"):
        of_result(deep)


@pytest.mark.parametrize(
    "broken", [{"best": {"latency": 3}}, {"best": {"name": "a"}, "gain": {"ms": "x"}, "baselines": 7}]
)
def test_a_result_with_holes_still_opens(broken: dict[str, object]) -> None:
    assert page_of(of_result(broken)).headline


def test_a_result_that_no_version_wrote_is_refused() -> None:
    with pytest.raises(InputError, match="must have an answer, but this one has none"):
        page_of(of_result({"best": None}))
    with pytest.raises(InputError, match="must be one that nas wrote"):
        page_of(of_result({"answers": [{"best": {"name": "a"}, "target_ms": "soon"}]}))
