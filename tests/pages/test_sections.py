"""What a page says: sentences, figures and tables, from documents made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nas.pages import html, of_device, of_result, of_run, page_of
from nas.pages.parts import Figure, Page, Section, Table
from tests.pages import documents


def _page(result: dict[str, Any]) -> Page:
    return page_of(of_result(result))


def _section(page: Page, name: str) -> Section:
    return next(section for section in page.sections if section.name == name)


def _figure(page: Page, name: str) -> Figure:
    return next(figure for figure in page.figures if figure.name == name)


def _column(table: Table, number: int) -> list[str]:
    return [row.cells[number].text for row in table.rows]


def test_a_search_says_its_question_and_its_answer() -> None:
    page = _page(documents.search())
    assert page.headline == (
        "For iphone12 at 1 ms: answer takes 1.000 ms [0.900, 1.100] (modelled) and promises 76.0 % [75.0, 77.0] top-1"
        " (predicted)."
    )
    assert page.lead[0] == (
        "+2.0 points [+0.5, +3.5] against known-a, the known network with the best mean accuracy that meets the target,"
        " at +0.200 ms. The two can be told apart."
    )
    assert "A note." in page.lead
    assert page.missing == []
    assert page.networks[0]["name"] == "answer" and page.beside == "digest-known-a"


def test_a_known_network_that_is_better_is_to_be_taken() -> None:
    worse = {"over": "known-a", "mean": -0.02, "low": -0.03, "high": -0.01, "ms": 0.1, "told_apart": True}
    lead = _page(documents.search(gain=worse)).lead[0]
    assert lead.startswith("-2.0 points [-3.0, -1.0] against known-a, the known network with")
    assert lead.endswith("The known one is better: take it.")


def test_an_answer_that_is_the_known_network_is_not_compared_with_itself() -> None:
    known = documents.search()["baselines"][0]
    same = {"over": "known-a", "mean": 0.0, "low": 0.0, "high": 0.0, "ms": 0.0, "told_apart": False}
    page = _page(documents.search(best=known, gain=same))
    assert page.lead[0] == "It is the known network with the best mean accuracy that meets the target."
    assert not any("known-a" in card.label for card in page.cards)
    page = _page(documents.search(best=known, gain=same, target_ms=None, max_params=3_000_000))
    assert page.lead[0] == "It is the known network with the best mean accuracy that meets the limits."


def test_limits_and_further_devices_are_part_of_the_question() -> None:
    also = [{"device": "pixel3-cpu", "target_ms": 30.0}]
    page = _page(documents.search(target_ms=None, max_params=3_000_000, also=also))
    assert page.headline.startswith("For iphone12 with at most 3 M parameters, 30.000 ms on pixel3-cpu: answer takes")
    assert _figure(page, "trade-off").lines == []


def test_the_figure_has_every_network_once_and_marks_what_cannot_be_told_apart() -> None:
    figure = _figure(_page(documents.search()), "trade-off")
    assert {series.role: len(series.x) for series in figure.series} == {
        "front": 3, "known": 3, "published": 1, "answer": 1,
    }  # fmt: skip
    published = next(series for series in figure.series if series.role == "published")
    assert (list(published.x), list(published.y)) == ([0.8], [74.1])
    assert figure.lines == [(1.0, "target")]
    # From the known network that cannot be told apart to the answer.
    assert figure.bands == [(75.2, 76.0, "cannot be told apart from the answer")]
    # Around 1 ms: 0.6 to 2 ms leaves known-far (8 ms) out; the accuracies there are from 70 to 76 %.
    assert figure.x.shown == (0.6, 2.0) and figure.y.shown == (68.0, 78.0)


def test_networks_are_listed_from_the_answer_on_outwards() -> None:
    (table,) = _section(_page(documents.search()), "answer").tables
    assert _column(table, 0)[:4] == ["answer", "front-2", "known-b", "known-a"]
    assert table.rows[2].cells[1].text == "known network, not told apart"


def test_where_the_time_goes_sums_up_to_the_latency() -> None:
    page = _page(documents.search())
    sizes, kinds = _figure(page, "where-sizes").series[0], _figure(page, "where-kinds").series[0]
    assert dict(zip(sizes.y, sizes.x, strict=True)) == pytest.approx(
        {"32 × 32": 0.225, "16 × 16": 0.45, "vector": 0.225, "once a run": 0.1}
    )
    assert sum(kinds.x) == pytest.approx(1.0)


def test_how_the_search_went() -> None:
    page = _page(documents.search())
    mean, bound = _figure(page, "best-so-far").series
    assert (list(bound.x), list(bound.y)) == ([100.0, 1000.0], [70.0, 74.0])
    assert list(mean.y) == [71.0, 75.0]
    facts = {fact.label: fact.value for fact in _section(page, "progress").facts}
    assert facts["networks of the space"] == "1.0 × 10⁴¹" and facts["networks looked at"] == "12,345"


def test_an_older_result_opens_and_says_what_it_lacks() -> None:
    older = documents.search()
    del older["history"], older["gain"], older["notes"], older["starts"]
    for network in (older["best"], *older["baselines"], *older["front"]):
        for key in ("anatomy", "size_bytes", "also", "indistinguishable"):
            network.pop(key, None)
    page = _page(older)
    assert list(page.missing) == ["the latency of the layers and operators", "how the search came to its answer"]
    assert "not in this document" in page.networks[0]["missing"]
    assert [stage["title"] for stage in page.networks[0]["stages"]] == ["layers"]
    trained = documents.trained()
    del trained["training"]
    assert _page(trained).missing == ["the classes, the curves and the confusion matrix of the training"]


def test_a_result_that_an_older_version_wrote_opens() -> None:
    older = json.loads((Path(__file__).parent.parent / "data" / "search-before-anatomies.json").read_text())
    page = _page(older)
    assert page.headline.startswith(
        "For iphone12 at 1 ms: mobile-1ms-a334f7f3 takes 1.000 ms [0.914, 1.094] (modelled)"
    )
    assert "the latency of the layers and operators" in page.missing
    assert len(page.networks[0]["stages"][0]["blocks"]) == len(older["best"]["architecture"]["layers"])
    assert "not in this document" in html(page)


def test_a_verification_shows_predicted_beside_measured() -> None:
    section = _section(_page(documents.verified()), "verification")
    # 1.0 ms predicted, 0.99 measured: 1.0 % above.
    assert "0.990 ms (measured), +1.0 % predicted over measured; accepted." in section.texts[0]
    timed = _figure(_page(documents.verified()), "trade-off").series[-1]
    # The last round's time of the answer, which is predicted to reach 76 %, and that of the runner-up, 73 %.
    assert (timed.name, list(timed.x), list(timed.y)) == ("measured here", [0.99, 0.82], [76.0, 73.0])
    (figure,), (table,) = section.figures, section.tables
    assert list(figure.series[0].x) == [1.3, 0.82, 0.99] and figure.diagonal
    assert _column(table, 6) == ["measured at 1.300 ms", "runner-up", "accepted"]


def test_every_trial_is_drawn_with_its_rungs_and_proxies() -> None:
    page = _page(documents.trials(8))
    latency = _figure(page, "trials-latency")
    assert {series.name: len(series.x) for series in latency.series} == {"done": 6, "stopped": 1}
    best = _figure(page, "trials-number").series[0]
    # Accuracies are 0.6 + 0.3 · (37 n mod 100) / 100: 60, 71.1, 82.2, 63.3, 74.4, 85.5 %.
    assert list(best.y) == pytest.approx([60.0, 71.1, 82.2, 82.2, 82.2, 85.5])
    (curves,) = _figure(page, "trials-curves").series
    assert list(curves.x[:6]) == [3, 9, None, 3, 9, None]
    proxy = _figure(page, "proxy-0").series[0]
    assert list(proxy.x) == pytest.approx([2 * y / 100 for y in proxy.y])
    assert "Its files are untrained: the accuracy is what the evaluator said of this structure." in page.lead
    (table,) = _section(page, "trials").tables
    assert _column(table, 0)[0] == "5" and table.rows[-1].cells[8].text == "ValueError: no"


def test_a_thousand_trials_are_counted_and_the_best_are_listed() -> None:
    (table,) = _section(_page(documents.trials(1000)), "trials").tables
    assert len(table.rows) == 300 and table.note.startswith("The best 300; 700 more are")


def test_a_search_on_images_shows_who_was_trained_fully_and_what_was_compared() -> None:
    page = _page(documents.on_images())
    finals = _section(page, "finals")
    assert finals.texts[0] == "Better by 2.0 points." and "12 only answer has right, 4 only known-a" in finals.texts[1]
    finalists, ranked, costs = finals.tables
    assert [[cell.text for cell in row.cells] for row in finalists.rows] == [
        ["answer", "of the space", "mbconv", "0.900", "76.0", "73.0–79.0", "75.0", "2"],
        ["known-a", "known", "x", "0.900", "–", "–", "70.0", "1"],
    ]
    assert [cell.text for cell in ranked.rows[0].cells] == ["1 epoch", "3 epochs", "0.80", "0.20", "1.00", "5"]
    assert [cell.text for cell in costs.rows[0].cells] == ["known networks", "4", "8", "1.5 min", "1"]
    assert [list(line.y) for line in _figure(page, "finalists-curves").series] == [[50, 80], [40, 70], [60, 70]]
    assert not any("untrained" in text for text in page.lead)
    assert _section(page, "classes-section") and page.missing == []


def test_of_two_trained_networks_that_cannot_be_told_apart_the_known_one_is_not_advised() -> None:
    gain = {"over": "known-a", "mean": 0.02, "low": -0.005, "high": 0.045, "ms": 0.1, "told_apart": False}
    for result, advised in ((documents.on_images(), False), (documents.search(), True)):
        first = _page({**result, "gain": gain}).lead[0]
        assert "cannot be told apart" in first and ("take the known one" in first) == advised


def test_an_adaptation_shows_its_way() -> None:
    page = _page(documents.adapted())
    way = _figure(page, "way").series[0]
    assert (list(way.x), list(way.y)) == ([1.2, 1.05, 1.0], [78.0, 77.0, 76.0])
    assert _figure(page, "way").y.title == "predicted top-1, %"
    assert page.missing == []


def test_an_adaptation_on_images_says_what_its_accuracies_are_of() -> None:
    """The way begins at the accuracy that its rounds are compared with."""
    page = _page({**documents.adapted(), "start_accuracy": 0.775, "trained": {"data": "photos"}})
    way = _figure(page, "way")
    assert list(way.series[0].y) == [77.5, 77.0, 76.0]
    assert way.y.title == "accuracy on validation images, %"
    assert way.note == "Each round makes one width narrower; measured."


def test_several_targets_have_one_page() -> None:
    page = _page(documents.targets())
    assert page.headline == (
        "2 targets on iphone12: 1 ms: 76.0 % [75.0, 77.0]; 1.5 ms: 78.0 % [77.0, 79.0] (predicted)."
    )
    assert [line for line, _ in _figure(page, "trade-off").lines] == [1.0, 1.5]
    assert [network["name"] for network in page.networks[:2]] == ["answer", "slower"]


def test_a_training_shows_its_classes() -> None:
    page = _page(documents.trained())
    assert page.headline == "net-a is right on 90.0 % [85.0, 94.0] of the 30 held-out images of photos (measured)."
    classes, confusion = _section(page, "classes-section").tables
    assert _column(classes, 4) == ["class 1 (1)", "class 2 (1)", "class 0 (1)"]
    assert [cell.text for cell in confusion.rows[0].cells] == ["class 0", "9", "1", "0"]
    assert [cell.shade for cell in confusion.rows[0].cells[1:]] == [0.9, 0.1, 0.0]
    assert list(_figure(page, "curve-accuracy").series[0].y) == [60.0, 90.0]
    assert "90.0 % of the weights (90 numbers)" in _section(page, "inherited").texts[0]


def test_many_classes_have_their_mistakes_listed() -> None:
    mistakes = _section(_page(documents.trained(30)), "classes-section").tables[1]
    assert mistakes.caption == "The most frequent mistakes" and len(mistakes.rows) == 30


def test_a_device_shows_what_it_does_not_cover() -> None:
    page = page_of(of_device(documents.device()))
    assert (
        page.headline
        == "phone (chip): latencies are measured; a network that the model has not seen is 3.0 % off in the median."
    )
    assert _section(page, "known").texts == ["1 of 2 known networks have a latency here."]
    assert _section(page, "known").tables[0].rows[1].cells[6].text == "the table lacks rows"
    # 0.9 predicted, 1.0 published: 10 % below.
    assert _section(page, "compared").tables[0].rows[0].cells[5].text == "-10.0"


def test_a_study_a_build_and_a_check() -> None:
    assert _page(documents.study()).headline == "One network, each activation on local: 2 latencies (measured)."
    assert _page(documents.study(scores=True)).headline.endswith("rank correlation 0.80 with MACs.")
    assert _page(documents.build()).headline == (
        "A table from 40 timed networks: it holds 150 of the 200 segments of mobile (measured)."
    )
    assert _page(documents.check()).headline == (
        "local: 2 fresh networks of mobile were predicted first, then timed: 2.0 % off in the median, 100 % inside"
        " their 90 % intervals (measured)."
    )


def test_a_network_that_ran_for_minutes() -> None:
    page = _page(documents.sustained())
    assert page.headline == (
        "net-a on phone, run for 20 s: 10.500 ms in the median; 10.0 % slower in the last fifth of the time than in the"
        " first."
    )
    section = _section(page, "sustained")
    assert section.notes == ["The runs ended before their time: it was interrupted."]
    assert [fact.value for fact in section.facts] == ["30.000 ms", "–", "10.500 ms", "11.800 ms"]
    (figure,) = section.figures
    assert [list(series.y) for series in figure.series] == [
        [10.0, 10.25, 10.5, 10.75, 11.0], [11.0, 11.25, 11.5, 11.75, 12.0],
    ]  # fmt: skip
    assert figure.series[0].texts[0] == "2 s: p50 10.000 ms (battery 30 °C)"


def test_a_run_can_be_repeated_and_its_files_run() -> None:
    page = page_of(of_run(documents.run(documents.search(), "search")))
    facts = {fact.label: fact.value for fact in _section(page, "repeat").facts}
    assert facts["command"] == "nas search --seed 0" and facts["nas"] == "0.1.0"
    assert facts["read: space"] == f"name mobile, sha256 {'ab' * 32}"
    code = _section(page, "files").code
    assert len(code.splitlines()) == 3
    assert "InferenceSession('runs/zoo/answer-untrained/model.onnx')" in code and "(1, 3, 64, 64)" in code
