from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from nas.pages import fragment, html, of_result, of_run, page_of
from tests.pages import documents

LIBRARY = "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"
"""Of plotly-basic.min.js in the npm package plotly.js-basic-dist-min 4.1.1."""


class _Elements(HTMLParser):
    """The elements of a page, as a browser opens them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_library_is_the_published_one() -> None:
    content = files("nas.pages").joinpath("assets", "plotly-basic.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() == LIBRARY


@pytest.mark.parametrize("name", documents.RESULTS)
def test_a_page_names_nothing_outside_itself(name: str) -> None:
    kind, result = documents.RESULTS[name]
    text = html(page_of(of_run(documents.run(result, kind))))
    assert len(text.encode()) < 2_000_000
    for tag, attributes in _Elements(text).found:
        for key in ("src", "href", "action", "srcset", "data"):
            value = attributes.get(key) or ""
            assert value in ("", "data:,") or value.startswith("#"), (tag, value)
        assert not any(key.startswith("on") for key in attributes), tag
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy and policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy[1] and "http" not in policy[1]


@pytest.mark.parametrize("name", documents.RESULTS)
def test_names_notes_and_files_are_text(name: str) -> None:
    kind, result = documents.RESULTS[name]
    run = documents.with_text(documents.run(result, kind), documents.EVIL)
    text = html(page_of(of_run({**run, "kind": kind})))
    plain = html(page_of(of_run(documents.run(result, kind))))
    tags = [tag for tag, _ in _Elements(text).found]
    assert tags.count("script") == [tag for tag, _ in _Elements(plain).found].count("script")
    assert "<script>alert" not in text and "\x1b" not in text and "\u202e" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_the_data_of_the_script_are_those_of_the_page() -> None:
    page = page_of(of_result(documents.search(notes=["</script><b>"])))
    found = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', html(page), re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    assert [figure["name"] for figure in data["figures"]] == [figure.name for figure in page.figures]
    assert data["networks"][0]["name"] == "answer" and data["beside"] == "digest-known-a"


def test_the_same_result_gives_the_same_page() -> None:
    assert html(page_of(of_result(documents.search()))) == html(page_of(of_result(documents.search())))


def test_a_fragment_has_no_script_and_no_markup_of_others() -> None:
    text = fragment(page_of(of_result(documents.with_text(documents.search(), "<img src=x>"))), "<svg/>")
    tags = [tag for tag, _ in _Elements(text).found]
    assert "script" not in tags and tags.count("img") == 1
    assert "data:image/svg+xml;base64,PHN2Zy8+" in text
