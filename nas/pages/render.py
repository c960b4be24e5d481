"""A page as one HTML file that fetches nothing: text, tables and data, with the script and the library inside.

Every text is escaped where it is written (Jinja's autoescape; JSON without `<`), the policy in the file's head forbids
whatever it does not bring along, and scripts run by their digest alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from nas.pages.parts import Page
from nas.pages.words import SOURCES

_LIBRARY, _SCRIPT, _STYLE, _TEMPLATE, _FRAGMENT = (
    "plotly-basic.min.js",
    "page.js",
    "page.css",
    "page.html",
    "fragment.html",
)


def html(page: Page) -> str:
    """The page as one file. The same page gives the same text."""
    scripts = [_asset(_LIBRARY), _asset(_SCRIPT)] if page.figures or page.networks else [_asset(_SCRIPT)]
    data = {
        "figures": [figure.as_json() for figure in page.figures],
        "networks": list(page.networks),
        "beside": page.beside,
    }
    text: str = (
        _environment()
        .get_template(_TEMPLATE)
        .render(
            page=page,
            style=_asset(_STYLE),
            scripts=scripts,
            digests=[_digest(script) for script in scripts],
            data=_embedded(data),
            sources=SOURCES,
        )
    )
    return text


def fragment(page: Page, picture: str = "") -> str:
    """The page's first words for a notebook, without a script; `picture` is a figure as SVG text."""
    encoded = base64.b64encode(picture.encode()).decode()
    text: str = _environment().get_template(_FRAGMENT).render(page=page, picture=encoded)
    return text


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    found = Environment(
        loader=FunctionLoader(_asset), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.filters["ours"] = Markup  # for what this package holds, never for what a document says
    return found


@lru_cache(maxsize=8)
def _asset(name: str) -> str:
    return files("nas.pages").joinpath("assets", name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _embedded(data: Any) -> str:
    """JSON that ends no script element, whatever its texts say."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
