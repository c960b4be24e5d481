from __future__ import annotations

import io
import math
import time

import pytest

from nas.cli.progress import Lines, duration_text, progress
from nas.progress import Step


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_lines_tell_each_phase_and_then_one_every_ten_seconds() -> None:
    clock, stream = _Clock(), io.StringIO()
    show = Lines(stream, clock)
    for after_s, step in (
        (0.0, Step(doing="reading")),
        (1.9, Step(doing="compiling")),
        (0.1, Step(doing="compiling")),
        (9.9, Step(doing="compiling")),
        (0.1, Step(doing="compiling")),
        (1.0, Step(doing="searching", of=8)),
        (5.0, Step(doing="searching", done=1, of=8)),
        (5.0, Step(doing="searching", done=2, of=8, note="predicted top-1 75.0 %")),
        (9.9, Step(doing="searching", done=7, of=8)),
    ):
        clock.now += after_s
        show(step)
    # Nothing in the first two seconds. A quarter took ten seconds, so three more take thirty.
    assert stream.getvalue().splitlines() == [
        "compiling",
        "compiling: for 10 s",
        "searching",
        "searching: 25 %, about 30 s left, predicted top-1 75.0 %",
    ]


def test_a_share_stays_between_nothing_and_all() -> None:
    assert [Step(doing="", done=done, of=4).share for done in (-1, 1, 5)] == [0.0, 0.25, 1.0]
    assert Step(doing="").share is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99.4, "99 s"), (100, "2 min"), (3540, "59 min"), (4800, "1 h 20 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_a_bar_with_a_percentage_and_the_time_left(
    no_color: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = _Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    for name, value in (("NO_COLOR", no_color), ("TERM", "xterm-256color"), ("COLUMNS", "80")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with progress() as show:
        show(Step(doing="compiling [all]", done=1, of=4, note="so far"))
        show(Step(doing="compiling [all]", done=2, of=4, note="so far"))
    text = stream.getvalue()
    assert "compiling [all]; so far" in text
    assert "50%" in text
    assert "left" in text
    assert ("\033[38;" in text or "\033[3" in text) == (not no_color)


def test_a_pipe_gets_no_control_characters(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("nas.cli.progress.QUIET_S", 0.0)
    with progress() as show:
        show(Step(doing="compiling"))
    assert capsys.readouterr() == ("", "compiling: for 0 s\n")


def test_what_nobody_knows_the_end_of_is_shown_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = _Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    assert Step(doing="", done=3.0, of=math.inf).share is None
    with progress() as show:
        for done in range(5):
            show(Step(doing="choosing", done=done, of=math.inf))
            time.sleep(0.01)
    assert "choosing" in stream.getvalue()
