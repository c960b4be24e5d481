"""`nas search`: the contract of its JSON, its text, and every kind of bad input."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml

from nas.cli.main import main
from nas.errors import NasError
from nas.resources import shipped_room
from nas.runs import RunStore
from nas.space import read_architecture
from nas.zoo.formats import FORMATS, Format

SMALL = {
    "schema": 1,
    "name": "small",
    "resolution": [160, 192],
    "stems": [[{"block": "conv", "out": [16], "stride": 2, "act": "hswish"}]],
    "kinds": {
        "mobileone": {
            "block": {"block": "mobileone", "out": "width", "kernel": "kernel", "stride": "stride", "act": "act"}
        }
    },
    "stages": [
        {"stride": 2, "depth": [1, 2], "width": [width, 2 * width], "kernel": [3, 5]} for width in (24, 48, 96, 160)
    ],
    "heads": [[{"block": "head"}]],
}
NETWORK_KEYS = {
    "name", "digest", "params", "macs", "latency", "accuracy", "published", "reward", "architecture", "zoo",
}  # fmt: skip
# Ten values, ten times ten times ten … of them.
BOMB = b"a0: &a0 [x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 10)
)
FLAGSHIP = ("search", "--target-latency", "1ms", "--device", "iphone12")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the space `small`."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "small.yaml").write_text(yaml.safe_dump(SMALL))
    return tmp_path


def _small(*arguments: str, target: str = "0.8ms") -> int:
    return main(["search", "--target-latency", target, "--device", "iphone12", "--space", "small", *arguments])


def _check_network(network: dict[str, Any]) -> None:
    assert set(network) >= NETWORK_KEYS
    latency, accuracy = network["latency"], network["accuracy"]
    assert 0 < latency["low_ms"] < latency["mean_ms"] < latency["high_ms"]
    assert latency["source"] == "modelled"
    assert 0 <= accuracy["low"] < accuracy["mean"] < accuracy["high"] <= 1
    assert accuracy["metric"] == "top1"
    assert accuracy["recipe"]
    assert accuracy["source"]
    published = network["published"]
    assert published is None or (set(published) >= {"top1", "latency_ms", "source"} and published["source"])


def test_json_is_the_contracts(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _small("--seed", "3", "--json") == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["space"] == "small"
    assert document["device"] == "iphone12"
    assert document["target_ms"] == pytest.approx(0.8)
    assert document["seed"] == 3
    assert document["reward"] == {"form": "hard", "w_under": 0.0, "w_over": -1.0}
    # 2 resolutions; a stage has 2 widths times one or two blocks of 2 kernels.
    assert int(document["space_size"]) == 2 * (2 * (2 + 4)) ** 4
    assert document["evaluated"] > 0
    assert document["max_interval"] == 1.3
    best = document["best"]
    evaluated, _, means = zip(*document["history"]["points"], strict=True)
    assert list(evaluated) == sorted(evaluated) and all(0 < mean < 1 for mean in means)
    for network in (best, *document["baselines"]):
        parts = [network["anatomy"]["fixed_ms"], *(layer["ms"] for layer in network["anatomy"]["layers"])]
        assert sum(parts) == pytest.approx(network["latency"]["mean_ms"])
    # The stem has h-swish, the blocks ReLU; 24 and 48 are this space's only choices for the first width.
    assert (best["simplicity"]["kinds"], best["simplicity"]["activations"]) == (1, 2)
    assert document["simpler"] is None or 0 <= document["simpler"]["cost"] <= 0.003
    for network in (best, *document["front"], *document["baselines"]):
        _check_network(network)
    assert best["latency"]["mean_ms"] <= 0.8
    zoo = Path(best["zoo"])
    assert zoo.name.endswith("-untrained")
    for name in ("model.onnx", "model.safetensors", "architecture.yaml", "README.md"):
        assert (zoo / name).is_file()
    assert "untrained" in (zoo / "README.md").read_text().lower()
    exported = read_architecture(zoo / "architecture.yaml")
    assert (exported.digest, exported.params, exported.macs) == (best["digest"], best["params"], best["macs"])
    weights = sum(math.prod(tensor.dims) for tensor in onnx.load(zoo / "model.onnx").graph.initializer)
    assert weights >= best["params"]


def test_text_names_sources_intervals_and_files(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _small() == 0
    text = capsys.readouterr().out
    for words in (
        "untrained",
        "modelled",
        "predicted for ImageNet, 300 epochs",
        "90 %",
        "known networks",
        "Pareto front",
        "runs",
    ):
        assert words in text
    # Scores with penalties are no accuracies.
    assert "shrinking" not in text
    page = Path(text.splitlines()[-1].removeprefix("Page: "))
    assert page.parent.parent == workspace / "runs" and "For iphone12 at 0.8 ms: small-0.8ms-" in page.read_text()


def test_a_run_is_recorded_and_repeats(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"litert": "0", "max_relative_error": 0.0, "limit": 1e-3, "operators": {"conv": 1}}

    def write(module: object, path: Path, trained: bool) -> None:
        path.write_text("a model")

    quick = Format("model.tflite", "{image} {logits}", write, lambda module, path: facts)
    monkeypatch.setitem(FORMATS, "litert", quick)
    assert _small("--format", "onnx,litert", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert (Path(first["best"]["zoo"]) / "model.tflite").read_text() == "a model"
    assert (Path(first["best"]["zoo"]) / "model.onnx").is_file()
    assert main(["runs", "show", first["run"], "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["status"] == "done"
    assert record["result"]["best"]["digest"] == first["best"]["digest"]
    command = shlex.split(record["command"])
    assert command[-2:] == ["--format", "onnx,litert"]
    other = f"sqlite:///{workspace}/other.db"
    assert main([*command[1:], "--json", "--storage", other]) == 0
    again = json.loads(capsys.readouterr().out)
    assert main(["runs", "list", "--json", "--storage", other]) == 0
    assert [run["run"] for run in json.loads(capsys.readouterr().out)] == [again["run"]]
    assert again["best"]["digest"] == first["best"]["digest"]
    assert again["run"] != first["run"]


def test_further_devices_and_starts_are_in_the_document_and_in_the_command(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["arch", "export", "mobilenetv3-small-1.0", "--out", str(workspace / "own.yaml")]) == 0
    own = str(workspace / "own.yaml")
    assert _small("--also", "pixel3-cpu:30ms", "--start", own, "--start", "mobilenetv1-0.25", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["also"] == [{"device": "pixel3-cpu", "target_ms": 30.0}]
    for network in (document["best"], *document["front"], *document["baselines"], *document["starts"]):
        assert set(network["also"]) == {"pixel3-cpu"}
        elsewhere = network["also"]["pixel3-cpu"]
        assert 0 < elsewhere["low_ms"] < elsewhere["mean_ms"] < elsewhere["high_ms"]
    assert document["best"]["also"]["pixel3-cpu"]["mean_ms"] <= 30.0
    assert [network["name"] for network in document["starts"]] == ["mobilenetv3-small-1.0", "mobilenetv1-0.25"]
    assert main(["runs", "show", document["run"], "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    command = shlex.split(record["command"])
    assert command[command.index("--also") + 1] == "pixel3-cpu:30ms"
    assert [command[i + 1] for i, word in enumerate(command) if word == "--start"] == [own, "mobilenetv1-0.25"]
    assert [device["name"] for device in record["inputs"]["also"]] == ["pixel3-cpu"]


def test_a_target_elsewhere_that_cannot_be_met_names_that_device(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _small("--also", "pixel3-cpu:0.1ms") == 1
    _one_paragraph(capsys, "at most 0.1 ms on pixel3-cpu", "the fastest one found there")


def test_a_soft_reward_says_how_far_its_answer_is_above(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _small("--reward", "soft", "--w", "-0.001", "--json", target="0.5ms") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["reward"] == {"form": "soft", "w_under": -0.001, "w_over": -0.001}
    above_ms = document["best"]["latency"]["mean_ms"] - 0.5
    assert document["above_target_ms"] == pytest.approx(above_ms)
    assert 0.0 < above_ms <= 0.3 * 0.5


@pytest.mark.parametrize("target", ["0ms", "-1ms", "1", "abc", "nanms", "infms", ""])
def test_a_bad_target_is_wrong_usage(workspace: Path, capsys: pytest.CaptureFixture[str], target: str) -> None:
    assert _small(target=target) == 2
    _one_paragraph(capsys, "--target-latency must be", "1ms or 800us")


def test_a_target_that_cannot_be_met_names_the_fastest_network(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _small(target="0.01ms") == 1
    _one_paragraph(capsys, "0.01 ms", "the fastest one", "ms", "raise the target")
    assert main(["runs", "list", "--json"]) == 0
    assert [run["status"] for run in json.loads(capsys.readouterr().out)] == ["failed"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--device", "iphone21"), ("device", "iphone12")),
        (("--device", "../iphone12"), ("device", "plain name")),
        (("--space", "mobil"), ("search space", "mobile")),
        (("--space", "nowhere/mobile.yaml"), ("nowhere/mobile.yaml", "readable")),
        (("--accuracy", "imagnet"), ("predictor", "imagenet")),
        (("--strategy", "evolutoin"), ("strategy", "evolution")),
        (("--reward", "sofd"), ("reward", "soft")),
        (("--w", "0.5"), ("w", "negative")),
        (("--confidence", "nan"), ("confidence", "at least 0.5")),
        (("--confidence", "0.9", "--reward", "soft"), ("confidence=0.9", "soft reward", "hard")),
        (("--device", "iphone12,pixel3-cpu"), ("one name", "--also")),
        (("--also", "pixel3-cpu"), ("--also", "pixel3-cpu:30ms")),
        (("--also", "pixel3-cpu:30"), ("--also pixel3-cpu", "with a unit")),
        (("--also", "pixel4-cpu:30ms"), ("device", "pixel3-cpu")),
        (("--also", "iphone12:30ms"), ("one target", "iphone12")),
        (("--also", "pixel3-cpu:30ms", "--also", "pixel3-cpu:20ms"), ("one target", "pixel3-cpu")),
        (("--start", "mobilenetv2-1.0x"), ("network", "mobilenetv2-1.0")),
        (("--start", "nowhere/net.yaml"), ("nowhere/net.yaml",)),
        (("--max-novelty", "inf"), ("max_novelty", "finite")),
        (("--max-interval", "0.9"), ("--max-interval", "0.9")),
        (("--max-interval", "never"), ("--max-interval", "never")),
        (("--simple",), ("--simple", "one kind of block and one activation", "small")),
        (("--storage", "runs.db"), ("storage", "SQLAlchemy URL")),
    ],
)
def test_bad_input_names_the_rule_and_the_nearest(
    workspace: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert _small(*arguments) == 2
    _one_paragraph(capsys, *words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("small.yaml", "empty")),
        (b"\x93\x00\xff\x1f" * 40, ("small.yaml", "UTF-8")),
        (b"schema: !!python/object/apply:os.system [id]\n", ("small.yaml", "line 1", "tags")),
        (b"a: &a [x, x]\nb: [*a, *a]\n", ("small.yaml", "schema")),
        (BOMB, ("small.yaml", "at most")),
        (yaml.safe_dump({**SMALL, "stagess": []}).encode(), ("small.yaml", "stagess", "stages")),
    ],
    ids=["empty", "bytes", "tag", "aliases", "bomb", "key"],
)  # fmt: skip
def test_a_bad_space_file_names_file_and_place(
    workspace: Path, capsys: pytest.CaptureFixture[str], content: bytes, words: tuple[str, ...]
) -> None:
    (workspace / "search_spaces" / "small.yaml").write_bytes(content)
    assert _small() == 2
    _one_paragraph(capsys, *words)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda rows: [*rows[:5], rows[5][: len(rows[5]) // 2]], ("row 6",)),
        (lambda rows: [*rows, _with(rows[1], 6, "2000-01-01")], ("last row", "comes again")),
        (lambda rows: [rows[0], _with(rows[1], 1, "-0.1"), *rows[2:]], ("row 2", "mean_ms")),
        (lambda rows: [rows[0], _with(rows[1], 1, "nan"), *rows[2:]], ("row 2", "mean_ms")),
    ],
    ids=["truncated", "duplicated", "negative", "nan"],
)
def test_a_bad_table_names_file_row_and_column(
    workspace: Path, capsys: pytest.CaptureFixture[str], spoil: Any, words: tuple[str, ...]
) -> None:
    folder = workspace / "latency_tables" / "mine"
    shutil.copytree(shipped_room("latency_tables") / "iphone12", folder)
    device = (folder / "device.yaml").read_text().replace("name: iphone12", "name: mine")
    (folder / "device.yaml").write_text(device)
    rows = (folder / "table.csv").read_text().splitlines()
    (folder / "table.csv").write_text("\n".join(spoil(rows)) + "\n")
    assert _small("--device", "mine") == 2
    expected = [f"row {len(rows) + 1}" if word == "last row" else word for word in words]
    _one_paragraph(capsys, "table.csv", *expected)


def test_a_runs_folder_that_is_a_file_stops_the_search_before_it_begins(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "runs").write_text("in the way")
    assert _small() == 1
    _one_paragraph(capsys, "runs")


@pytest.fixture
def mount(workspace: Path) -> Iterator[Callable[[str], None]]:
    """Mounts a tmpfs with the given options as the workspace's `runs/`."""
    folder = workspace / "runs"
    folder.mkdir()

    def mounted(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.decode().strip()}")

    yield mounted
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True)


_ROOT = pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounts a tmpfs: root on Linux only")


@_ROOT
@pytest.mark.parametrize("options", ["size=16k", "ro"])
def test_a_full_or_read_only_runs_folder_is_one_paragraph(
    mount: Callable[[str], None], capsys: pytest.CaptureFixture[str], options: str
) -> None:
    mount(options)
    assert _small() == 1
    _one_paragraph(capsys, "runs", "room" if options == "size=16k" else "must be writable")


@_ROOT
def test_an_answer_is_not_lost_where_its_files_find_no_room(
    mount: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    mount("size=1m")  # room for the database, none for a model
    assert _small("--json") == 1
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["best"]["latency"]["mean_ms"] <= 0.8
    assert document["best"]["zoo"] is None
    assert "room" in captured.err or "space" in captured.err


def test_an_answer_and_its_files_are_not_lost_with_the_database(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise NasError("the server must be reachable, but is gone.")

    monkeypatch.setattr(RunStore, "add_artefact", lost)
    assert _small("--json") == 1
    captured = capsys.readouterr()
    assert (Path(json.loads(captured.out)["best"]["zoo"]) / "model.onnx").is_file()
    assert "the server must be reachable" in captured.err


def test_the_flagship(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FLAGSHIP, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    best = document["best"]
    assert best["latency"]["mean_ms"] <= 1.0
    assert int(document["space_size"]) >= 10**20
    names = {network["name"] for network in document["baselines"]}
    assert {"mobilenetv1-1.0", "mobilenetv2-1.0", "mobilenetv3-large-1.0", "mobileone-s1", "repvit-m1.0"} <= names
    under = [n for n in document["baselines"] if n["latency"]["mean_ms"] <= best["latency"]["mean_ms"]]
    assert all(best["accuracy"]["low"] >= other["accuracy"]["low"] for other in under)
    assert best["name"] not in names


def _with(row: str, column: int, value: str) -> str:
    fields = next(csv.reader([row]))
    fields[column] = value
    stream = io.StringIO()
    csv.writer(stream, lineterminator="").writerow(fields)
    return stream.getvalue()


def _one_paragraph(capsys: pytest.CaptureFixture[str], *words: str) -> None:
    captured = capsys.readouterr()
    assert captured.out == ""
    message = captured.err[captured.err.index("error: ") :] if "error: " in captured.err else captured.err
    assert "Traceback" not in message
    assert "\n\n" not in message.strip()
    assert len(message) < 1200
    for word in words:
        assert word in message, message
