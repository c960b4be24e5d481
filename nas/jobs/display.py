"""How a result shows itself in a notebook: its first words, its first figure, its main figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def notebook_html(result: Mapping[str, Any]) -> str:
    """HTML without a script for the document of a result (its `as_json`)."""
    from nas.pages import fragment, of_result, page_of
    from nas.pages.pictures import picture

    page = page_of(of_result(result))
    drawn = picture(page.figures[0], "svg").decode() if page.figures else ""
    return fragment(page, drawn)
