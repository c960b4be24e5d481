from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nas.cli.main import main
from nas.space import known_network


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    code, out, err = call(capsys, *arguments, "--json")
    assert code == 0, err
    found: dict[str, object] = json.loads(out)
    return found


def test_show_prints_coefficients_with_their_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "lut", "show", "--device", "iphone12")
    assert code == 0
    assert "ms a network" in out
    record = document(capsys, "lut", "show", "--device", "iphone12")
    assert record["device"] == "iphone12"
    assert isinstance(record["manifest"], dict)
    assert {"features", "rows", "split", "scores", "versions", "inputs_sha256"} <= record["manifest"].keys()


def test_predict_prints_latency_interval_source_and_what_was_published(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "lut", "predict", "efficientnet-b0", "--device", "iphone12")
    assert code == 0
    assert "modelled" in out and "published: 1.6 ms" in out
    assert "warning: " in err and "SiLU" in err
    record = document(capsys, "lut", "predict", "efficientnet-b0", "--device", "iphone12")
    latency = record["latency"]
    assert isinstance(latency, dict)
    assert latency["low_ms"] < latency["mean_ms"] < latency["high_ms"]
    assert latency["source"] == "modelled"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lut", "predict", "repvit-m1.0", "--device", "iphone"), "nearest: iphone12"),
        (("lut", "predict", "repvit-m1.0", "--device", "../iphone12"), "plain name"),
        (("lut", "predict", "repvit-m1.0", "--device", "latency_tables/iphone12"), "plain name"),
        (("lut", "predict", "absent.onnx", "--device", "iphone12"), "absent.onnx"),
        (("lut", "predict", "nonsense", "--device", "iphone12"), "network must be a known name"),
        (("lut", "predict", "repvit-m1.0"), "--device"),
        (("device", "show", "iphone"), "nearest: iphone12"),
        (("device", "add", "absent.yaml"), "absent.yaml"),
    ],
)
def test_bad_input_is_one_paragraph_and_exit_code_2(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1
    assert words in err


def test_a_bad_table_is_named_with_row_and_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nas.latency import device_home

    folder = tmp_path / "latency_tables" / "iphone12"
    folder.mkdir(parents=True)
    for name in ("device.yaml", "coefficients.json", "table.csv"):
        content = (device_home("iphone12").folder / name).read_bytes()
        (folder / name).write_bytes(content[:-20] if name == "table.csv" else content)
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    code, _, err = call(capsys, "lut", "predict", "repvit-m1.0", "--device", "iphone12")
    assert code == 2
    assert "table.csv, row 3001" in err


def test_devices_are_listed_shown_and_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    record = document(capsys, "device", "show", "iphone12")
    assert record["compute_unit"] == "Neural Engine"
    file = tmp_path / "phone.yaml"
    keys = ("chip", "runtime", "compute_unit", "precision", "protocol", "date", "source")
    file.write_text("name: phone\n" + "".join(f"{key}: {record[key]}\n" for key in keys), encoding="utf-8")
    assert call(capsys, "device", "add", str(file))[0] == 0
    code, out, _ = call(capsys, "device", "list")
    assert code == 0
    assert "phone" in out and "iphone12" in out
    assert "A14" in call(capsys, "device", "show", "phone")[1]


def test_an_onnx_file_with_unknown_operators_is_predicted_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.onnx.onnx_files import node, save

    nodes = [node("Fancy", ["x"], "f", domain="my.ops"), node("Relu", ["f"], "y")]
    path = save(tmp_path / "m.onnx", nodes, (1, 64, 112, 112))
    code, out, err = call(capsys, "lut", "predict", str(path), "--device", "iphone12")
    assert code == 0
    assert "m.onnx on iphone12" in out
    assert "in my.ops.Fancy, " in err and "other:" not in err


def test_a_prediction_says_what_it_is_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.onnx.onnx_files import node, save

    # 3·64·9 weights on 54·54 pixels of each of two images.
    weights = {"w": np.ones((64, 3, 3, 3))}
    path = save(tmp_path / "m.onnx", [node("Conv", ["x", "w"], "y")], ("n", 3, "h", 56), weights)
    arguments = ("lut", "predict", str(path), "--device", "pixel3-cpu")
    code, _, err = call(capsys, *arguments)
    assert code == 2 and "--input-shape x=1x3x224x56" in err
    sizes = ("--input-shape", "x=2x3x56x56")
    record = document(capsys, *arguments, *sizes)
    facts = {key: record[key] for key in ("macs", "macs_are_a_lower_bound", "params", "precision", "batch")}
    assert facts == {
        "macs": 2 * 1728 * 54 * 54, "macs_are_a_lower_bound": False, "params": 1728, "precision": "float32", "batch": 2,
    }  # fmt: skip
    assert "2 images at once" in str(record["latency"])
    assert document(capsys, *arguments, *sizes, "--batch", "1")["macs"] == 1728 * 54 * 54
    known = document(capsys, "lut", "predict", "mobilenetv2-1.0", "--device", "iphone12", "--batch", "4")
    assert (known["batch"], known["precision"], known["params"]) == (4, "float16", 3487816)
    assert known["macs"] == 4 * known_network("mobilenetv2-1.0").macs


def test_an_architecture_has_its_own_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(
        capsys, "lut", "predict", "mobilenetv2-1.0", "--device", "iphone12", "--input-shape", "1x3x192x192"
    )
    assert code == 2 and "must come with an ONNX file" in err


@pytest.mark.slow
def test_verify_prints_scores_and_writes_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "lut", "verify", "--device", "iphone12", "--report", str(tmp_path), "--json")
    assert code == 0, err
    record = json.loads(out)
    assert record["network_out"]["median"] <= 0.05 and record["network_out"]["mean"] <= 0.08
    assert record["family_out"]["median"] <= 0.06 and record["family_out"]["mean"] <= 0.08
    assert record["order"]["worst"] <= 0.12 and record["order"]["tau_b"] >= 0.5
    intervals = record["intervals"]
    ours = intervals.pop("ours")
    assert 0.82 <= ours["coverage"] <= 0.97
    assert all(ours["score_ms"] < other["score_ms"] for other in intervals.values() if isinstance(other, dict))
    assert (tmp_path / "iphone12.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "iphone12.md").read_text("utf-8")
    assert "RepViT-path04" in page and "iphone12.png" in page


def test_every_published_known_network_is_within_a_quarter() -> None:
    from nas.latency import device_home, load_latency
    from nas.latency.load import published_index
    from nas.space import known_names

    model, index = load_latency("iphone12"), published_index(device_home("iphone12"))
    seen = 0
    for name in known_names():
        graph = known_network(name).graph()
        for row in index.find(graph.operators()):
            assert model.latency_ms([graph])[0] == pytest.approx(row.latency_ms, rel=0.27), name
            seen += 1
    assert seen >= 20
