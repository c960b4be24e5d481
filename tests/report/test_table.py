from __future__ import annotations

from nas.report.page import Page
from nas.report.table import Column, markdown, numeric, table, textual

COLUMNS = (textual("name"), numeric("ms"), numeric("MACs M", 2), textual("paper", 1))
ROWS = (("a", "1.50", "3", "Some Body"), ("bbbb", "12.00", None, "Another"))


def test_numbers_stand_right_texts_left_and_nothing_is_drawn() -> None:
    assert table(COLUMNS, ROWS).split("\n") == [
        "name     ms  MACs M  paper",
        "----  -----  ------  ---------",
        "a      1.50       3  Some Body",
        "bbbb  12.00       -  Another",
    ]


def test_a_narrow_page_loses_the_columns_of_highest_priority_and_says_which() -> None:
    # All four take 4 + 5 + 6 + 9 and three gaps of two: 30.
    assert len(table(COLUMNS, ROWS, Page(width=30)).split("\n")) == 4
    assert table(COLUMNS, ROWS, Page(width=29)).split("\n") == [
        "name     ms  paper",
        "----  -----  ---------",
        "a      1.50  Some Body",
        "bbbb  12.00  Another",
        "(--wide shows MACs M as well)",
    ]
    assert table(COLUMNS, ROWS, Page(width=21)).split("\n") == [
        "name     ms",
        "----  -----",
        "a      1.50",
        "bbbb  12.00",
        "(--wide shows MACs M,",
        "paper as well)",
    ]


def test_wide_keeps_every_column() -> None:
    assert table(COLUMNS, ROWS, Page(width=11, wide=True)) == table(COLUMNS, ROWS)


def test_of_equal_priorities_the_last_goes_first() -> None:
    columns = (textual("aa"), numeric("bb", 1), numeric("cc", 1))
    assert table(columns, [(1, 2, 3)], Page(width=8)).startswith("aa  bb\n")


def test_texts_that_wrap_go_on_below_between_words() -> None:
    columns = (numeric("n"), textual("words", wrap=True))
    assert table(columns, [(1, "one two three"), (22, "four")], Page(width=11)).split("\n") == [
        " n  words",
        "--  -------",
        " 1  one two",
        "    three",
        "22  four",
    ]


def test_a_text_is_broken_where_nothing_else_helps() -> None:
    columns = (textual("name"), numeric("ms"))
    lines = table(columns, [("x" * 40, "1.0")], Page(width=30)).split("\n")
    assert max(map(len, lines)) == 30
    assert "".join(line.split()[0] for line in lines[2:]) == "x" * 40


def test_wide_characters_count_as_they_are_shown() -> None:
    lines = table((textual("n"), numeric("x")), [("漢字", 1), ("ab", 2)]).split("\n")
    assert lines[2:] == ["漢字  1", "ab    2"]


def test_color_marks_the_names_and_moves_nothing() -> None:
    plain, colored = (table(COLUMNS, ROWS, Page(color=color)) for color in (False, True))
    assert "\033" not in plain
    assert colored.replace("\033[1m", "").replace("\033[0m", "") == plain != colored


def test_a_table_of_markdown() -> None:
    assert markdown(("a", "bcd"), [("xx", 1)]) == "| a  | bcd |\n|----|-----|\n| xx | 1   |"


def test_a_column_is_kept_unless_it_says_otherwise() -> None:
    assert table([Column(name="a"), Column(name="b")], [("1" * 12, "2" * 12)], Page(width=20)).startswith("a")
