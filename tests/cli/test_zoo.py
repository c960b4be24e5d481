"""`nas zoo`: exporting, listing, showing, verifying."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nas.cli.main import main
from nas.runs import RunStore
from tests.zoo.networks import ACCURACY, LATENCY, small


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    (tmp_path / "small.yaml").write_text(small().to_yaml())
    return tmp_path


def run(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert main(["zoo", *words]) == code
    return capfd.readouterr()


def search_run(store: RunStore) -> str:
    """A run as a search leaves it."""
    best = {"name": "small", "architecture": small().as_mapping(), "latency": LATENCY, "accuracy": ACCURACY}
    with store.start("search", command="nas search", seed=3) as found:
        found.finish({"device": "iphone12", "best": best})
    return found.id


def test_export_list_show_verify(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capfd, "export", str(workspace / "small.yaml"))
    folder = workspace / "runs" / "zoo" / "small-untrained"
    assert out == f"{folder}\n"
    out, _ = run(capfd, "list")
    assert "small-untrained" in out
    out, _ = run(capfd, "list", "--json")
    (record,) = json.loads(out)
    assert (record["name"], record["path"]) == ("small-untrained", str(folder))
    assert (record["params"], record["untrained"]) == (small().params, True)
    out, _ = run(capfd, "show", "small-untrained")
    assert out == (folder / "README.md").read_text(encoding="utf-8")
    out, _ = run(capfd, "show", "small-untrained", "--json")
    assert json.loads(out) == record
    out, _ = run(capfd, "verify")
    assert out.startswith("small-untrained: ok; onnx: differs from torch by")
    out, _ = run(capfd, "verify", "small-untrained", "--json")
    assert json.loads(out)[0]["ok"] is True


def test_an_empty_zoo(capfd: pytest.CaptureFixture[str]) -> None:
    assert json.loads(run(capfd, "list", "--json")[0]) == []
    assert json.loads(run(capfd, "verify", "--json")[0]) == []


def test_the_answer_of_a_run_brings_its_figures(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run_id = search_run(RunStore())
    record = json.loads(run(capfd, "export", run_id, "--name", "mine", "--seed", "2", "--json")[0])
    assert record["name"] == "mine-untrained"
    assert (record["latency"], record["accuracy"], record["device"]) == (LATENCY, ACCURACY, "iphone12")
    assert (record["run"], record["seed"]) == (run_id, 2)
    (artefact,) = RunStore(workspace / "runs").get(run_id).artefacts
    assert artefact.path == workspace / "runs" / "zoo" / "mine-untrained"


def test_the_run_may_be_in_another_database(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{workspace}/shared.db"
    run_id = search_run(RunStore(url=url))
    record = json.loads(run(capfd, "export", run_id, "--storage", url, "--json")[0])
    (artefact,) = RunStore(url=url).get(run_id).artefacts
    assert (record["run"], record["path"]) == (run_id, str(artefact.path))


def test_a_damaged_network_fails(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        run(capfd, "export", str(workspace / "small.yaml"), "--name", name)
    (workspace / "runs" / "zoo" / "b-untrained" / "model.onnx").write_bytes(b"")
    out, err = run(capfd, "verify", code=1)
    assert "a-untrained: ok" in out and "b-untrained: failed" in out
    assert err.count("\n") == 1 and "b-untrained failed" in err
    out, _ = run(capfd, "verify", "--json", code=1)
    assert [record["ok"] for record in json.loads(out)] == [True, False]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["export", "nowhere"], "network must be a known name or a file, but got 'nowhere'"),
        (["export", "small.yaml", "--format", "onnx,gif"], "format must be a known name"),
        (["export", "mobileone-s0", "--name", "../x"], "must be a plain name"),
        (["export", "20261123-101502-ab12"], "run must be a known name"),
        (["show", "nowhere"], "network of the zoo must be a known name"),
        (["verify", "nowhere"], "network of the zoo must be a known name"),
    ],
)
def test_bad_input_is_one_paragraph(
    words: list[str], text: str, workspace: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    out, err = run(capfd, *words, code=2)
    assert (out, err.count("\n")) == ("", 1)
    assert text in err


def test_a_run_without_a_network_cannot_be_exported(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    results: list[dict[str, Any] | None] = [None, {"best": None}, {"rows": 3}]
    for result in results:
        with RunStore(workspace / "runs").start("lut", command="nas lut") as found:
            if result is not None:
                found.finish(result)
        _, err = run(capfd, "export", found.id, code=2)
        assert f"run {found.id} must have found a network to export, but is a lut that is done" in err
