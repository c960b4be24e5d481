from __future__ import annotations

from nas.report.page import PLAIN, Page

TEXT = "the quick brown fox jumps over a-lazy/dog.yaml"


def test_a_text_is_filled_to_the_width_with_hanging_lines() -> None:
    assert Page(width=24).filled(TEXT, indent="> ", hanging="    ").split("\n") == [
        "> the quick brown fox",
        "    jumps over",
        "    a-lazy/dog.yaml",
    ]


def test_no_word_is_broken() -> None:
    assert Page(width=20).filled("see /a/very-long/path/of-a/file.yaml").split("\n") == [
        "see",
        "/a/very-long/path/of-a/file.yaml",
    ]


def test_a_pipe_gets_one_line() -> None:
    assert PLAIN.filled(TEXT, indent="  ") == f"  {TEXT}"
    assert PLAIN.filled("a\n\nb", indent="  ") == "  a\n\n  b"


def test_emphasis_is_for_pages_that_show_it() -> None:
    assert Page(color=True).strong("x") == "\033[1mx\033[0m"
    assert PLAIN.strong("x") == "x"
