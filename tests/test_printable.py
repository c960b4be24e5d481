from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from nas.cli.main import main
from nas.errors import InputError, briefly, unknown_name
from nas.printable import in_markdown, on_one_line, printable
from nas.report.table import markdown, table, textual
from nas.zoo import export_architecture
from tests.zoo.networks import LATENCY, small

NASTY = "a\x1b[31m\x1b]0;title\x07b\x9bc\u202ed\u200be\x00\r\x7f\U000e0041"
SHOWN = "a\\u001b[31m\\u001b]0;title\\u0007b\\u009bc\\u202ed\\u200be\\u0000\\u000d\\u007f\\udb40\\udc41"


def test_what_steers_a_terminal_or_hides_is_written_out() -> None:
    assert printable(NASTY) == SHOWN
    assert printable(SHOWN) == SHOWN
    assert printable("größer · 90 % [0, 1] – ✓ 模型\n\tx") == "größer · 90 % [0, 1] – ✓ 模型\n\tx"
    assert on_one_line("a\nb\t c") == "a b c"


def test_json_stays_the_same_document() -> None:
    document = {"name": NASTY, "other": ["é", NASTY]}
    assert json.loads(printable(json.dumps(document, ensure_ascii=False))) == document


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a | b", r"a \| b"),
        (r"a \| b", r"a \\\| b"),
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("![x](http://example.org/p.png)", r"![x\](http://example.org/p.png)"),
        ("0.9 ms [0.8, 1.0]", "0.9 ms [0.8, 1.0]"),
        ("a\n\n# b", "a # b"),
    ],
)
def test_a_text_on_a_page_of_markdown_is_text(text: str, shown: str) -> None:
    assert in_markdown(text) == shown
    assert markdown(["name"], [[text]]).splitlines()[2].strip("| ") == shown


def test_tables_hold_texts_alone() -> None:
    assert SHOWN in table([textual("name")], [[NASTY]])


@pytest.mark.parametrize(
    "text",
    [
        f"name must be short, but got {'x' * 5000!r}; shorten it.",
        f"name must be short, but got {'x y ' * 5000!r}; shorten it.",
        f"name must be short, but got {list(range(5000))!r}; shorten it.",
        f"name must be short, but got {'x' * 5000}; shorten it.",
    ],
)
def test_an_error_repeats_little_of_what_came_and_keeps_its_remedy(text: str) -> None:
    shown = str(InputError(text))
    assert shown.startswith("name must be short, but got ") and "…" in shown
    assert len(shown) <= len("name must be short, but got ") + 200 + len("…'; shorten it.")
    assert shown.endswith("; shorten it.")


def test_an_error_of_many_parts_has_an_end() -> None:
    assert len(briefly("word " * 10_000 + "remedy.")) < 2001
    assert briefly("word " * 10_000 + "remedy.").endswith("remedy.")
    assert len(str(unknown_name("device", "x" * 10_000, ["a"]))) < 300


def test_what_files_say_reaches_no_terminal_raw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names, cards and manifests of the zoo, devices, and what was typed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    latency = {**LATENCY, "warnings": [NASTY], "source": NASTY}
    folder = export_architecture(small(), name="small", latency=latency, device="iphone12")
    assert NASTY not in (folder / "README.md").read_text("utf-8")
    device = tmp_path / "latency_tables" / "mine" / "device.yaml"
    device.parent.mkdir(parents=True)
    texts = ("chip", "runtime", "compute_unit", "precision", "protocol", "date", "source", "notes")
    device.write_text("name: mine\n" + "".join(f"{key}: {json.dumps(NASTY)}\n" for key in texts))
    (folder / "README.md").write_text((folder / "README.md").read_text("utf-8") + NASTY)
    for arguments in (
        ["zoo", "list"], ["zoo", "list", "--json"], ["zoo", "show", folder.name],
        ["zoo", "show", folder.name, "--json"], ["zoo", "verify", folder.name], ["device", "list"],
        ["device", "list", "--json"], ["device", "show", "mine"],
        ["device", "show", NASTY], ["arch", "show", NASTY], [NASTY], ["lut", "show", "--device", "mine"],
    ):  # fmt: skip
        main(arguments)
        printed = capsys.readouterr()
        for stream in printed:
            assert stream == printable(stream), arguments


def test_a_terminal_is_given_our_colours_and_no_others() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-P", "-m", "nas", "device", "show", NASTY.replace("\0", "")]
    environment = {**os.environ, "TERM": "xterm"} | {"NO_COLOR": ""}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            shown += part
    os.close(ours)
    assert process.returncode == 2
    text = shown.decode()
    assert text.startswith("\x1b[31m\x1b[1merror\x1b[0m: ")
    assert text.count("\x1b") == 3 and "\x9b" not in text
