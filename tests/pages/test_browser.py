"""Every kind of page in a real browser: what it shows, that it asks for nothing, and that everybody can use it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nas.pages import html, of_device, of_result, of_run, page_of
from nas.testing.pace import pace_s
from tests.pages import documents
from tests.pages.browser import PATIENCE_MS, Opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

Open = Callable[..., Opened]
PAGES: dict[str, dict[str, Any]] = {
    **{name: of_run(documents.run(result, kind)) for name, (kind, result) in documents.RESULTS.items()},
    "check": of_result(documents.check()),
    "device": of_device(documents.device()),
}


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open the page of a document."""
    pages: list[Opened] = []

    def open_page(document: dict[str, Any], **options: Any) -> Opened:
        file = tmp_path / "page.html"
        file.write_text(html(page_of(document)), encoding="utf-8")
        pages.append(Opened(browser, file, **options))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_each_kind_is_silent_self_contained_and_open_to_everybody(name: str, opened: Open) -> None:
    page = page_of(PAGES[name])
    shown = opened(PAGES[name])
    for figure in page.figures:
        lines = any(series.form == "line" and series.step for series in figure.series)
        assert lines or shown.points(figure.name) == figure.count, figure.name
    assert shown.page.locator("h1").inner_text() == page.headline
    names = shown.page.evaluate("() => [...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(names) == len(set(names))
    assert shown.overflowing() == [] and shown.faults() == []
    shown.page.emulate_media(color_scheme="dark")
    shown.page.set_viewport_size({"width": 390, "height": 800})
    shown.page.wait_for_timeout(150)
    assert shown.overflowing() == [] and shown.faults("color-contrast", "scrollable-region-focusable") == []
    assert shown.said == []
    assert [url for url in shown.asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_a_table_is_sorted_by_its_headings(opened: Open) -> None:
    shown = opened(PAGES["search"])
    names = "#networks tbody tr th"
    # Sorted by top-1: front-0 has 0.70, known-far 0.80; then the other way round.
    heading = shown.page.locator("#networks thead th", has_text="top-1 %").first
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert shown.page.locator(names).first.inner_text() == "front-0"
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert shown.page.locator(names).first.inner_text() == "known-far"
    # What is no number stays behind in both directions: three known networks are published, or not.
    published = shown.page.locator("#networks thead th", has_text="published %").first
    for _ in range(2):
        published.locator("button").click()
        assert shown.page.locator(names).first.inner_text() == "known-a"


def test_pointing_at_a_network_shows_its_figures_and_a_click_the_network(opened: Open) -> None:
    shown = opened(PAGES["search"])
    assert shown.page.locator("#network-answer h3").inner_text().startswith("answer")
    assert shown.page.locator("#network-beside h3").inner_text() == "known-a"
    place = shown.page.locator("#plot-trade-off")
    place.scroll_into_view_if_needed()
    at = shown.page.evaluate(
        """() => {
            const place = document.getElementById("plot-trade-off"), layout = place._fullLayout;
            const frame = place.getBoundingClientRect();
            return [frame.left + layout.xaxis._offset + layout.xaxis.d2p(1.05),
                    frame.top + layout.yaxis._offset + layout.yaxis.d2p(75.2)];
        }"""
    )
    shown.page.mouse.move(at[0] - 3, at[1] - 3)
    shown.page.mouse.move(*at)
    shown.page.wait_for_selector("#tip:not([hidden])")
    tip = shown.page.locator("#tip").inner_text()
    assert "known-b" in tip and "1.050 ms [0.945, 1.155] (modelled)" in tip
    assert "cannot be told apart from the answer" in tip
    shown.page.mouse.click(*at)
    assert shown.page.locator("#network-beside h3").inner_text() == "known-b"
    assert shown.page.locator("tr.chosen th").inner_text() == "known-b"


def test_the_keyboard_alone_reaches_everything(opened: Open) -> None:
    shown = opened(PAGES["search"])
    page = shown.page
    reached: list[str] = page.evaluate("() => []")
    wanted = {"skip", "sort", "pick", "whole", "plot", "choose", "stage", "table", "pre", "nav"}
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                """() => { const one = document.activeElement;
                    return one.closest("nav") ? "nav" : one.tagName === "SUMMARY" ? "stage"
                        : one.tagName === "PRE" ? "pre" : one.id === "choose" ? "choose"
                        : one.className.split(" ")[0]; }"""
            )
        )
        if wanted <= set(reached):
            break
    assert wanted <= set(reached)
    page.locator("#plot-trade-off").focus()
    page.keyboard.press("Home")
    assert "front-0" in page.locator("#tip").inner_text()
    for _ in range(3):  # three of the front, then the known networks by their latency: known-a is the first
        page.keyboard.press("ArrowRight")
    assert "known-a (known network)" in page.locator("#tip").inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.locator("#network-beside h3").inner_text() == "known-b"
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()
    page.locator("#networks .pick").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#network-beside h3").inner_text().startswith("answer")


def test_the_architecture_is_drawn_stage_by_stage(opened: Open) -> None:
    shown = opened(PAGES["search"])
    stages = shown.page.locator("#network-answer .stage")
    assert [stages.nth(i).locator("summary b").inner_text() for i in range(stages.count())] == [
        "32 × 32", "16 × 16", "vector",
    ]  # fmt: skip
    # Of 1 ms 0.1 pass once a run; the second stage has half of the rest.
    assert "1 layer · 45.0 % of the time" in stages.nth(1).inner_text()
    stages.nth(1).locator("summary").click()
    line = stages.nth(1).locator("tbody tr")
    cells = [line.locator("td").nth(i).inner_text() for i in range(8)]
    # 64 / 16: the width before the block is 16.
    assert cells == ["24", "5", "4", "yes", "relu", "45.0 %", "4 k", "1 M"]


def test_whatever_names_say_is_text(opened: Open) -> None:
    result = documents.with_text(documents.trials(), documents.EVIL)
    result["verification"] = documents.with_text(documents.verified()["verification"], documents.EVIL)
    shown = opened(of_run(documents.run(result, "search")), width=390)
    # The browser found no more scripts than the page brought along: data, library and its own.
    assert shown.page.locator("script").count() == 3
    assert shown.said == [] and shown.overflowing() == []
    assert "<script>alert(1)</script>" in shown.page.locator("h1").inner_text()
    shown.page.locator("#plot-trade-off").focus()
    shown.page.keyboard.press("Home")
    assert "<script>alert(1)</script>" in shown.page.locator("#tip").inner_text()
    assert "\\u001b[31m\\u202e" in shown.page.locator("#trial-table").inner_text()
    trained = documents.with_text(documents.trained(), documents.EVIL)
    assert opened(of_run(documents.run(trained, "train")), width=390).overflowing() == []


def test_five_thousand_trials_are_drawn_in_time(opened: Open, tmp_path: Path) -> None:
    document = of_run(documents.run(documents.trials(5000), "search"))
    began = time.process_time()
    size = len(html(page_of(document)).encode())
    assert size < 6_000_000 and time.process_time() - began < 100 * pace_s()
    shown = opened(document)
    assert shown.points("trials-latency") == 4999  # all but the one that failed
    assert shown.page.locator("#trial-table tbody tr").count() == 300
    assert shown.said == []


def test_a_page_opens_within_two_seconds(browser: Browser, tmp_path: Path) -> None:
    many = [documents.network(f"known-{i}", 0.5 + 0.02 * i, 0.6 + 0.002 * i) for i in range(95)]
    front = [documents.network(f"front-{i}", 0.5 + 0.02 * i, 0.7 + 0.002 * i, anatomy=None) for i in range(64)]
    file = tmp_path / "page.html"
    file.write_text(html(page_of(of_result(documents.search(baselines=many, front=front)))), encoding="utf-8")
    assert file.stat().st_size < 6_000_000
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    session = page.context.new_cdp_session(page)
    # In processor time of the page's own thread: a machine that is busy with other things is no fault of the page.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    assert page.locator("#plot-trade-off .points .point").count() > 150
    assert found["TaskDuration"] < 2.0
    page.close()
