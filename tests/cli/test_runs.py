"""`nas runs`: listing and showing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nas.cli.main import main
from nas.runs import RunStore

COMMAND = "nas search --target-latency 1ms --device iphone12 --seed 3"
BEST = {
    "name": "mobile-1ms-ab12cd34",
    "latency": {"mean_ms": 0.98, "low_ms": 0.9, "high_ms": 1.1, "source": "modelled"},
    "accuracy": {"mean": 0.75, "low": 0.74, "high": 0.76, "metric": "top1", "source": "predicted"},
}


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    return tmp_path


@pytest.fixture
def run_id(workspace: Path) -> str:
    store = RunStore(workspace / "runs", clock=lambda: datetime(2026, 11, 23, 10, 15, 2, tzinfo=UTC))
    with store.start("search", command=COMMAND, inputs={"space": {"name": "mobile"}}, seed=3) as run:
        run.add_artefact("zoo", workspace / "runs" / "zoo" / "net")
        run.finish({"best": BEST})
    return run.id


def run(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert main(["runs", *words]) == code
    return capfd.readouterr()


def test_list(run_id: str, capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capfd, "list")
    assert run_id in out and COMMAND in out and "done" in out
    (record,) = json.loads(run(capfd, "list", "--json")[0])
    assert (record["run"], record["status"], record["command"]) == (run_id, "done", COMMAND)
    assert "result" not in record
    assert json.loads(run(capfd, "list", "--kind", "lut", "--json")[0]) == []


def test_nothing_was_run_yet(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert json.loads(run(capfd, "list", "--json")[0]) == []
    assert list(workspace.iterdir()) == []


def test_show_tells_how_to_repeat_it(run_id: str, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = run(capfd, "show", run_id)[0].splitlines()
    assert f"repeat    {COMMAND}" in lines
    assert 'input     space: {"name": "mobile"}' in lines
    assert f"wrote     zoo: {workspace / 'runs' / 'zoo' / 'net'}" in lines
    assert (
        "answer    mobile-1ms-ab12cd34; 0.980 ms [0.900, 1.100] modelled; top1 75.0 % [74.0, 76.0] predicted" in lines
    )
    record = json.loads(run(capfd, "show", run_id, "--json")[0])
    assert (record["run"], record["seed"], record["result"]) == (run_id, 3, {"best": BEST})


def test_a_failed_run_shows_its_error(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    handle = RunStore(workspace / "runs").start("search", command="c")
    with pytest.raises(RuntimeError), handle:
        raise RuntimeError("the fastest network takes 2 ms")
    lines = run(capfd, "show", handle.id)[0].splitlines()
    assert "error     the fastest network takes 2 ms" in lines
    assert not any(line.startswith("answer") for line in lines)


def test_another_database_is_named_by_option_or_environment(
    run_id: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    with RunStore(url=url).start("lut", command="nas lut build") as other:
        pass
    listed = json.loads(run(capfd, "list", "--storage", url, "--json")[0])
    assert [record["run"] for record in listed] == [other.id]
    monkeypatch.setenv("NAS_STORAGE", url)
    assert json.loads(run(capfd, "show", other.id, "--json")[0])["command"] == "nas lut build"
    _, err = run(capfd, "show", run_id, code=2)
    assert "run must be a known name" in err


@pytest.mark.parametrize(
    ("url", "words"),
    [("runs.db", "must be a SQLAlchemy URL"), ("mysql://u:secret@host/db", "must be SQLite or PostgreSQL")],
)
def test_a_bad_storage_is_one_paragraph(url: str, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    out, err = run(capfd, "list", "--storage", url, code=2)
    assert (out, err.count("\n")) == ("", 1)
    assert words in err and "secret" not in err


def test_an_unknown_run_is_answered_with_near_ones(run_id: str, capfd: pytest.CaptureFixture[str]) -> None:
    out, err = run(capfd, "show", run_id[:-1], code=2)
    assert (out, err.count("\n")) == ("", 1)
    assert run_id in err


def test_a_file_that_is_no_database_is_one_paragraph(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (workspace / "runs").mkdir()
    (workspace / "runs" / "nas.db").write_bytes(b"random bytes " * 100)
    out, err = run(capfd, "list", code=1)
    assert (out, err.count("\n")) == ("", 1)
    assert "must be a database of nas" in err
