from __future__ import annotations

import sys
import threading
import webbrowser
from pathlib import Path

import pytest

from nas.cli import opening


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a browser is asked for."""
    found: list[str] = []
    monkeypatch.setattr(webbrowser, "open", found.append)
    for name in ("SSH_CONNECTION", "SSH_TTY", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    return found


def test_the_browser_is_asked_for_the_file(asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    opening.opened(tmp_path / "a b.html")
    assert asked == [(tmp_path / "a b.html").as_uri()]


def test_over_ssh_it_is_said_how_to_fetch_the_file(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
    monkeypatch.setenv("DISPLAY", "localhost:10.0")
    opening.opened(tmp_path / "page.html")
    assert asked == [] and "over SSH; fetch the page and open it there: scp" in capsys.readouterr().err


def test_without_a_screen_the_path_is_said(
    asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opening.opened(tmp_path / "page.html")
    assert asked == [] and f"open {tmp_path / 'page.html'} in a browser" in capsys.readouterr().err


def test_a_browser_that_does_not_return_is_not_waited_for(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never, returned = threading.Event(), threading.Event()

    def waits(url: str) -> None:
        never.wait(60.0)
        returned.set()

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(opening, "_PATIENCE_S", 0.1)
    monkeypatch.setattr(webbrowser, "open", waits)
    opening.opened(tmp_path / "page.html")
    assert not returned.is_set()
    never.set()
