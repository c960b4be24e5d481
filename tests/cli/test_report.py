"""`nas report`, and the page that runs end with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.cli.main import main
from nas.runs import RunStore
from tests.pages import documents


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run_id(workspace: Path) -> str:
    with RunStore(workspace / "runs").start("search", command="nas search", seed=0) as run:
        run.finish(documents.search())
    return run.id


def test_the_page_of_a_run_is_in_its_folder(run_id: str, workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", run_id]) == 0
    page = workspace / "runs" / run_id / "page.html"
    assert capsys.readouterr().out == f"wrote {page}\n"
    assert "answer takes 1.000 ms" in page.read_text(encoding="utf-8") and run_id in page.read_text(encoding="utf-8")


def test_a_document_is_as_good_as_a_run(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace / "answer.json").write_text(json.dumps(documents.search()))
    assert main(["report", "answer.json", "--format", "html,svg", "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert files[0] == "answer.html" and "answer-trade-off.svg" in files
    assert all((workspace / name).is_file() for name in files)
    assert main(["report", "answer.json", "--out", "there/page.html"]) == 0
    assert (workspace / "there" / "page.html").is_file()


def test_the_page_of_a_device(workspace: Path) -> None:
    assert main(["report", "--device", "pixel3-cpu", "--out", "pixel.html"]) == 0
    assert "a network that the model has not seen is" in (workspace / "pixel.html").read_text(encoding="utf-8")
    assert main(["report", "--device", "local"]) == 0
    assert (workspace / "runs" / "pages" / "local.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name one of them, RUN or --device NAME"),
        (["20261129-100000-abcd", "--device", "iphone12"], "name one of them, RUN or --device NAME"),
        (["20261129-100000-abcd"], "run"),
        (["--device", "iphone21"], "iphone12"),
        (["no.json"], "run"),
        (["bad.json"], "must be a document of nas (JSON)"),
        (["list.json"], "must be a JSON object"),
        (["other.json"], "this one has the keys foo"),
        (["good.json", "--format", "pdf"], "--format must name html, svg or png"),
    ],
)
def test_what_is_no_result_is_one_paragraph(
    arguments: list[str], said: str, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "bad.json").write_text("{")
    (workspace / "list.json").write_text("[1]")
    (workspace / "other.json").write_text('{"foo": 1}')
    (workspace / "good.json").write_text(json.dumps(documents.search()))
    assert main(["report", *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.out == "" and captured.err.count("\n") == 1


def test_a_run_without_a_result_has_no_page(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(ValueError, match="no"),
        RunStore(workspace / "runs").start("search", command="nas search -x") as run,
    ):
        raise ValueError("no")
    assert main(["report", run.id]) == 2
    assert "has left none (it failed); run its command again: nas search -x" in capsys.readouterr().err


def test_a_study_ends_with_its_page(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "attention", "--device", "iphone12"]) == 0
    out = capsys.readouterr().out
    (run,) = RunStore(workspace / "runs").records(kind="study")
    page = workspace / "runs" / run.id / "page.html"
    assert out.endswith(f"\nPage: {page}\n")
    assert run.command == "nas study attention --device iphone12"
    assert [artefact.path for artefact in run.artefacts if artefact.kind == "page"] == [page]
    assert "on iphone12" in page.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_costs_a_warning(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.errors import NasError

    def full(path: Path, content: bytes) -> None:
        raise NasError("the disk must have room.")

    monkeypatch.setattr("nas.files.write_bytes", full)
    assert main(["study", "attention", "--device", "iphone12", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["study"] == "attention"
    assert "warning: there is no page: the disk must have room." in captured.err
