"""A headless Chromium, and what a page must be there: silent, self-contained, readable, reachable by keyboard."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.extras import needs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE_MS = 120_000
"""How long a page is waited for: the machine may be busy with other tests."""

_NO_NETWORK = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def chromium() -> str:
    """The browser; where there is none the calling test is skipped by name, in CI it fails."""
    needs("playwright")
    needs("axe_playwright_python")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        message = "needs chromium, which is not installed (apt install chromium)"
        if os.environ.get("NAS_REQUIRE_EXTRAS"):
            pytest.fail(message)
        pytest.skip(message)
    return path


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser of its own."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_NO_NETWORK))
        yield browser
        browser.close()


class Opened:
    """A page in the browser, with what it said and asked for."""

    def __init__(self, browser: Browser, file: Path, *, width: int = 1440, scheme: str = "light") -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
        )
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("html[data-drawn]")

    def close(self) -> None:
        """Close the page and all that it kept."""
        self.page.context.close()

    def points(self, figure: str) -> int:
        """How many marks or bars a figure has."""
        return self.page.locator(f"#plot-{figure} .points .point").count()

    def overflowing(self) -> list[str]:
        """What is wider than the window, beside what scrolls in itself."""
        found: list[str] = self.page.evaluate(
            """() => {
                const inside = ".table, .scroll, .stage, pre, .plot, .skip";
                const wide = [...document.querySelectorAll("body *")].filter((element) =>
                    !element.closest(inside) && element.getBoundingClientRect().right > innerWidth + 1);
                const whole = document.documentElement.scrollWidth > innerWidth ? ["the page"] : [];
                return [...whole, ...wide.map((element) => element.tagName + "." + element.className)];
            }"""
        )
        return found

    def faults(self, *rules: str) -> list[str]:
        """What axe-core calls serious or critical, by all of its rules or by these."""
        import axe_playwright_python

        script = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
        # Not as an element: the policy of the page would refuse it.
        self.page.evaluate(f"() => {{ {script} }}")
        found: list[dict[str, Any]] = self.page.evaluate(
            "async (rules) => (await axe.run(rules.length ? { runOnly: rules } : {})).violations", list(rules)
        )
        return [
            f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:200]})"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
