"""What commands print on a terminal: lines that fit it, colour where it is wanted."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from nas.cli.main import main
from nas.cli.terminal import colored, page, width

SHOWN = (
    ("arch", "list"),
    ("arch", "show", "mobilenetv3-large-1.0"),
    ("arch", "show", "efficientnet-b0", "--training"),
    ("device", "list"),
    ("device", "show", "iphone12"),
    ("device", "show", "local"),
    ("space", "list"),
    ("space", "show", "mobile"),
    ("space", "show", "mobilevit"),
    ("space", "show", "repvgg"),
    ("space", "show", "shufflenet"),
    ("space", "sample", "mobile", "--n", "3"),
    ("lut", "show", "--device", "iphone12"),
    ("lut", "predict", "efficientnet-b0", "--device", "iphone12"),
    ("runs", "list"),
    ("zoo", "list"),
)


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both streams are a terminal of 80 columns without colour; the workspace is empty."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    monkeypatch.setattr("nas.cli.terminal.is_terminal", lambda stream: True)
    for name, value in (("COLUMNS", "80"), ("NO_COLOR", "1"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_every_line_fits_eighty_columns(
    words: tuple[str, ...], terminal: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    out, err = capsys.readouterr()
    # A path is never broken, so that it can be copied.
    assert [line for line in (out + err).splitlines() if len(line) > 80 and "/" not in line.split()[-1]] == []
    assert "\033" not in out + err


def test_wide_shows_every_column(terminal: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["arch", "list"]) == 0
    narrow = capsys.readouterr().out
    assert main(["arch", "list", "--wide"]) == 0
    wide = capsys.readouterr().out
    assert "paper" not in narrow.splitlines()[0] and "--wide shows paper" in narrow
    assert "paper" in wide.splitlines()[0] and "--wide" not in wide


def test_a_pipe_gets_every_column(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["arch", "list"]) == 0
    assert "paper" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("no_color", "term", "expected"), [("", "xterm", True), ("1", "xterm", False), ("", "dumb", False)]
)
def test_color_is_for_terminals_that_do_not_decline(
    no_color: str, term: str, expected: bool, terminal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", term)
    assert colored(io.StringIO()) is page().color is expected


def test_a_pipe_is_no_terminal() -> None:
    assert width(io.StringIO()) is None
    assert not colored(io.StringIO())


def test_an_error_fits_the_terminal(terminal: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["device", "show", "iphone"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 1 and max(map(len, lines)) <= 80
    assert lines[0].startswith("error: device must be a known name")


def test_devices_tell_threads_and_precision(terminal: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["device", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"threads", "precision"} <= set(lines[0].split())
    assert next(line for line in lines if line.startswith("pixel3-cpu")).split()[-2:] == ["4", "float32"]
