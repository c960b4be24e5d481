from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.blocks.activations import DYNAMIC_ACTIVATIONS
from nas.cli.main import main
from nas.graph.ops import ACTIVATIONS
from nas.jobs.study import EXPERIMENTS
from nas.jobs.study_networks import ATTENTIVE
from nas.space import known_names

PREDICTED = ("correlation", "activations", "blocks", "attention")


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the runs of the studies are recorded."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("kind", PREDICTED)
def test_a_study_prints_a_table_and_writes_a_page_and_a_picture(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", kind, "--device", "iphone12", "--report", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"iphone12: {EXPERIMENTS[kind].title}\n")
    assert "Modelled, not timed." in out
    assert f"wrote {tmp_path / kind}-iphone12.png" in err
    assert (tmp_path / f"{kind}-iphone12.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / f"{kind}-iphone12.md").read_text("utf-8")
    assert f"nas study {kind} --device iphone12 --report DIR" in page
    assert f"({kind}-iphone12.png)" in page


def test_every_activation_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "activations", "--device", "iphone12"]) == 0
    first = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line]
    assert {*ACTIVATIONS, *DYNAMIC_ACTIVATIONS} <= set(first)


def test_attention_has_a_line_for_each_resolution(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "attention", "--device", "iphone12"]) == 0
    out = capsys.readouterr().out
    assert ATTENTIVE in out and "separable self-attention / its own attention" in out
    assert "256" in [line.split()[0] for line in out.splitlines() if line]


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "correlation", "--device", "iphone12", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in found["rows"]] == list(known_names())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["threads", "--device", "iphone12"], "no latency model knows of threads"),
        (["blocks", "--device", "iphone12", "--rounds", "5"], "leave --rounds out"),
        (["blocks", "--device", "iphone"], "nearest: iphone12"),
        (["blocks", "--device", "local", "--rounds", "0"], "'--rounds': 0 is not in the range"),
        (["blocs", "--device", "local"], "blocks"),
        (["blocks"], "--device"),
    ],
)
def test_wrong_usage_is_one_paragraph(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err[:7], err.count("\n")) == ("", "error: ", 1)
    assert words in err
