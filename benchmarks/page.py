"""The pictures of pages in README.md and docs/report.md: `python -m benchmarks.page docs/page.png`, and
`python -m benchmarks.page docs/page-data.png --command 2`.

Runs the first search of README.md (or the one of that number) in a workspace that has its pictures, opens the page that
it ends with in headless Chromium, and writes what a window of 1280 × 1150 pixels shows first. A page that is there
already is named with --page. Needs what the browser tests need: chromium (apt) and the extra `test`.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks.transcript import commands
from tests.jobs.pictures import draw_pictures

README = Path(__file__).parent.parent / "README.md"
WIDTH, HEIGHT = 1280, 1150
COLOURS = 256
"""A drawing needs no more, and is half the size."""


def searched(workspace: Path, number: int) -> Path:
    """The page of a search of README.md, counted from 1, run in `workspace`."""
    draw_pictures(workspace / "photos")
    environment = {**os.environ, "NAS_WORKSPACE": str(workspace)}
    words = shlex.split(commands(README.read_text(encoding="utf-8"))[number - 1])[1:]
    command = [sys.executable, "-P", "-m", "nas", *words, "--json"]
    subprocess.run(command, env=environment, cwd=workspace, check=True, capture_output=True)
    (page,) = workspace.glob("runs/*/page.html")
    return page


def picture(page: Path, path: Path) -> None:
    """Write what a window shows first of `page` to `path`."""
    from playwright.sync_api import sync_playwright

    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        window = opened.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        window.goto(page.resolve().as_uri())
        window.wait_for_selector("html[data-drawn]")
        window.screenshot(path=path)
        opened.close()
    with Image.open(path) as found:
        found.convert("RGB").quantize(COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--command", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        picture(options.page or searched(Path(folder), options.command), options.picture)
