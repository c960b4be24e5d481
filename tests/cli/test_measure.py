from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import helper

from nas.cli.main import main
from tests.measure.devices import add_device, tiny_file, tiny_onnx


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_and_where_it_was_made(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_device(workspace, "mine")
    tiny_file(workspace)
    assert main(["measure", "tiny.yaml", "--device", "mine", "--threads", "1,2", "--rounds", "2"]) == 0
    out = capsys.readouterr().out
    assert "tiny.yaml on mine: measured, 2 rounds, 2 runs of one image" in out
    for word in ("mean ms", "sd ms", "median ms", "p90 ms", "least ms", "chip", "runtime", "system"):
        assert word in out


def test_json_is_one_document(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_device(workspace, "mine")
    tiny_onnx(workspace / "m.onnx")
    assert main(["measure", "m.onnx", "--device", "mine", "--rounds", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {
        "network",
        "device",
        "source",
        "environment",
        "rounds",
        "runs",
        "images_a_run",
        "timings",
        "predicted",
        "warnings",
    } == set(found)
    assert {"threads", "mean_ms", "sd_ms", "median_ms", "p90_ms", "min_ms", "cpu_min_ms", "spread", "latency"} == set(
        found["timings"][0]
    )


@pytest.mark.parametrize("number", ["FLOAT", "DOUBLE", "FLOAT16", "BOOL", "UINT8", "INT32", "INT64"])
def test_inputs_of_every_type_of_numbers_are_fed(
    number: str, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = onnx.TensorProto.DataType.Value(number)
    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["y"], to=onnx.TensorProto.FLOAT)], "g",
        [helper.make_tensor_value_info("x", kind, ["n", 3, 4, 4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, str(workspace / "m.onnx"))
    add_device(workspace, "mine")
    sizes = ["--input-shape", "x=5x3x4x4"]
    assert main(["measure", "m.onnx", "--device", "mine", "--rounds", "2", "--json", *sizes]) == 0
    assert json.loads(capsys.readouterr().out)["images_a_run"] == 5


def _truncated(path: Path) -> None:
    content = tiny_onnx(path).read_bytes()
    path.write_bytes(content[: len(content) // 2])


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut off": (_truncated, "must be an ONNX file, but its content is none, or is cut off"),
    "text": (lambda path: path.write_text("hello"), "must be an ONNX file, but its content is none"),
    "open sizes": (lambda path: tiny_onnx(path, batch="N"), "give it, such as: --input-shape x=1x3x16x16"),
    "an operator of others": (lambda path: tiny_onnx(path, "Fancy", domain="my.ops"), "my.ops:Fancy"),
    "an unknown operator": (lambda path: tiny_onnx(path, "Fancy"), "No Op registered for Fancy"),
    "absent": (lambda path: None, "there is none"),
    "a folder": (lambda path: path.mkdir(), "there is none"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_named_in_one_paragraph(case: str, workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, words = BAD_FILES[case]
    make(workspace / "m.onnx")
    _assert_refused(capsys, ["m.onnx", "--device", "local"], "m.onnx", words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tiny.yaml", "--device", "iphone12"], "iphone12/device.yaml: reach must be local, ssh, adb or ios"),
        (["tiny.yaml", "--device", "odd"], "odd/device.yaml: runtime must be one that is measured here"),
        (["tiny.yaml", "--device", "locl"], "nearest: local"),
        (["m.onnx", "--device", "local-litert"], "m.onnx must be a .tflite file"),
        (["m.tflite", "--device", "local"], "m.tflite must be a .onnx file"),
        (["tiny.yaml", "--device", "local", "--threads", "0"], "threads must be from 1 to 256, but got 0"),
        (["tiny.yaml", "--device", "local", "--threads", "1,two"], "whole numbers separated by commas"),
        (["tiny.yaml", "--device", "local", "--rounds", "0"], "'--rounds': 0 is not in the range"),
        (["mobilenetv9", "--device", "local"], "network must be a known name"),
    ],
)
def test_wrong_usage_is_one_paragraph(
    arguments: list[str], words: str, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_device(workspace, "odd", runtime="TensorFlow")
    tiny_file(workspace)
    _assert_refused(capsys, arguments, words)


def _assert_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], *words: str) -> None:
    assert main(["measure", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ") and err.count("\n") == 1
    for word in words:
        assert word in err


def test_sustained_runs_for_a_time(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule of ten seconds apart, which would be ten seconds of this test."""
    monkeypatch.setattr("nas.jobs.measure_sustained.SHORTEST_S", 0.1)
    add_device(workspace, "mine")
    tiny_onnx(workspace / "m.onnx")
    assert main(["measure", "m.onnx", "--device", "mine", "--sustained", "1s", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sustained_s"] == 1.0 and found["seconds"] >= 1.0 and found["ended"] == ""
    assert {"load_ms", "first_ms", "p50_ms", "p90_ms", "change", "curve", "environment", "threads"} <= found.keys()
    (workspace / "m.json").write_text(json.dumps(found), encoding="utf-8")
    assert main(["report", "m.json"]) == 0
    assert "run for" in (workspace / "m.html").read_text("utf-8")
    capsys.readouterr()
    assert main(["measure", "m.onnx", "--device", "mine", "--sustained", "1s"]) == 0
    out = capsys.readouterr().out
    assert "m.onnx on mine: measured," in out and "loading" in out and "p90 ms" in out


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        (["--sustained", "5s"], "--sustained must be at least 10s, but got 5 s"),
        (["--sustained", "fast"], "--sustained must be a positive number with a unit"),
        (["--sustained", "1m", "--threads", "1,2"], "one number of threads"),
        (["--sustained", "1m", "--rounds", "30"], "leave --rounds out"),
    ],
)
def test_what_sustained_cannot_do_is_said(
    more: list[str], rule: str, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_device(workspace, "mine")
    tiny_onnx(workspace / "m.onnx")
    assert main(["measure", "m.onnx", "--device", "mine", *more]) == 2
    assert rule in " ".join(capsys.readouterr().err.split())
