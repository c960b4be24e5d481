"""`nas arch`: listings, details, files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml

from nas.cli.main import main
from nas.space import known_names, known_network, load_architecture


def _run(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert main(["arch", *words]) == code
    return capfd.readouterr()


def test_list(capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = _run(capfd, "list", "--json")
    records = {record["name"]: record for record in json.loads(out)}
    assert list(records) == list(known_names())
    assert records["mobilenetv2-1.0"] == {
        "name": "mobilenetv2-1.0",
        "family": "mobilenetv2",
        "resolution": 224,
        # torchvision's mobilenet_v2 learns 3,504,872 numbers, of which 17,056 are scales of batch norms.
        "params": 3_504_872 - 17_056,
        "macs": 300_774_272,
        "paper": "Sandler et al., MobileNetV2, arXiv 1801.04381, table 2",
        "published": {
            "top1": 71.8,
            "params_M": 3.47,
            "macs_M": 300,
            "source": "github tensorflow/models research/slim/nets/mobilenet/README.md @0ba83cf",
        },
    }
    assert records["repvit-path02"]["published"] == {"top1": None, "params_M": None, "macs_M": None, "source": ""}


def test_list_counts_the_training_form(capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = _run(capfd, "list", "--training", "--json")
    records = {record["name"]: record for record in json.loads(out)}
    # timm's repvgg_a0 with its branches apart.
    assert (records["repvgg-a0"]["params"], records["repvgg-a0"]["macs"]) == (9_108_968, 1_512_581_120)


def test_list_is_a_table_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = _run(capfd, "list")
    assert len(out.splitlines()) == 2 + len(list(known_names()))
    assert out.splitlines()[0].split()[:3] == ["network", "px", "params"]


def _shown(capfd: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    out, _ = _run(capfd, "show", *words, "--json")
    record: dict[str, Any] = json.loads(out)
    return record


def test_show(capfd: pytest.CaptureFixture[str]) -> None:
    record = _shown(capfd, "mobilenetv1-1.0")
    network = known_network("mobilenetv1-1.0")
    assert record["digest"] == network.digest
    assert len(record["layers"]) == len(network.layers)
    for count in ("params", "macs", "activations", "memory_bytes"):
        assert sum(layer[count] for layer in record["layers"]) == record[count], count
    stem = record["layers"][0]
    assert stem["block"] == "conv"
    assert (stem["input"], stem["output"], stem["stride"]) == ([3, 224, 224], [32, 112, 112], 2)
    # The convolution and its ReLU6 both write 32·112·112; read: the image, that map; weights 32·3·9; two bytes each.
    written = 32 * 112 * 112
    assert stem["activations"] == 2 * written
    assert stem["memory_bytes"] == 2 * (3 * 224 * 224 + written + 2 * written + 32 * 27)
    assert stem["peak_memory_bytes"] == 2 * (3 * 224 * 224 + written)  # the activation lies over what it reads
    assert record["peak_memory_bytes"] == max(layer["peak_memory_bytes"] for layer in record["layers"])
    assert record["layers"][-1]["output"] == [1000]


def test_show_counts_the_training_form_layer_by_layer(capfd: pytest.CaptureFixture[str]) -> None:
    record = _shown(capfd, "mobileone-s0", "--training")
    assert sum(layer["params"] for layer in record["layers"]) == record["params"] == 5_293_272  # timm's mobileone_s0
    assert sum(layer["macs"] for layer in record["layers"]) == record["macs"]


def test_show_is_a_table_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = _run(capfd, "show", "efficientnet-b2@288")
    assert "efficientnet-b2@288  (family efficientnet, 288 px" in out
    assert "published" not in out  # those are of 260 pixels
    assert "published: top-1 80.1 %" in _run(capfd, "show", "efficientnet-b2")[0]


def test_show_flags_what_leaves_the_neural_engine(capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = _run(capfd, "show", "espnetv2-1.0")
    (warning,) = _shown(capfd, "espnetv2-1.0")["warnings"]
    assert "dilated convolutions" in warning and f"warning: {warning}" in out.splitlines()
    assert _shown(capfd, "mobilenetv2-1.0")["warnings"] == []


@pytest.mark.parametrize("name", ["mobilevitv2-0.5", "espnetv2-1.0", "repvit-m0.6", "squeezenet-1.1@128"])
def test_export_is_the_same_network(capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    printed, _ = _run(capfd, "export", name)
    path = tmp_path / "net.yaml"
    out, err = _run(capfd, "export", name, "--out", str(path))
    assert (out, err) == ("", f"wrote {path}\n")
    assert path.read_text(encoding="utf-8") == printed
    assert load_architecture(path).digest == known_network(name).digest
    assert _shown(capfd, str(path))["macs"] == known_network(name).macs


def test_export_to_onnx_is_marked_untrained(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    _run(capfd, "export", "mobilenetv1-0.25@64", "--out", str(path))
    model = onnx.load(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["digest"] == known_network("mobilenetv1-0.25@64").digest
    assert metadata["untrained"] == "true"


def test_a_folder_is_its_architecture(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "zoo" / "mine"
    folder.mkdir(parents=True)
    _run(capfd, "export", "repvgg-a0", "--out", str(folder / "architecture.yaml"))
    assert _shown(capfd, str(folder))["params"] == known_network("repvgg-a0").params


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["show", "mobilenetv22-1.0"], "nearest: mobilenetv2-1.0"),
        (["show", "no/such.yaml"], "no/such.yaml must be a readable YAML file"),
    ],
)
def test_faults(capfd: pytest.CaptureFixture[str], words: list[str], text: str) -> None:
    out, err = _run(capfd, *words, code=2)
    assert out == ""
    assert text in err


def test_a_place_that_cannot_be_written_to(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    _, err = _run(capfd, "export", "repvgg-a0", "--out", str(tmp_path / "file" / "x.yaml"), code=1)
    assert "must be writable" in err


def _edited(tmp_path: Path, edit: Any) -> Path:
    document = known_network("shufflenetv2-0.5").as_mapping()
    edit(document)
    path = tmp_path / "edited.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            lambda d: d["layers"].insert(2, {"block": "shufflenetv1", "out": 66, "hidden": 12}),
            ["layer 3 (shufflenetv1)", "equal or broadcastable", "(48, 28, 28)", "change it or the layers before it"],
        ),
        (lambda d: d["layers"][1].update(stride=-1), ["layer 2", "stride must be one of 1, 2, but got -1"]),
        (lambda d: d["layers"][1].pop("out"), ["layer 2", "out must be given, but is missing"]),
        (lambda d: d.pop("resolution"), ["'resolution' must be given"]),
        (lambda d: d["layers"][1].pop("block"), ["layer 2 must be a mapping with the key block"]),
        (lambda d: d["layers"][1].update(block="shuflenetv2"), ["layer 2", "'shuflenetv2'", "nearest: shufflenetv2"]),
        (lambda d: d["layers"][1].update(block=["conv"]), ["layer 2", "block must be a known one"]),
        # A chain cannot have a cycle: there is no way to say where a layer's input comes from.
        (lambda d: d["layers"][1].update(input=5), ["layer 2", "'input' must be a parameter of block shufflenetv2"]),
        (lambda d: d.update(edges=[[1, 2], [2, 1]]), ["'edges'", "layers"]),
        (lambda d: d["layers"][1].update(out="48"), ["layer 2", "out must be int, but got '48'"]),
        (lambda d: d["layers"][1].update(out=10**9), ["layer 2", "out must be at most 1000000"]),
        (lambda d: d["layers"].append({"block": "conv", "out": 8}), ["(conv)", "a map must come in"]),
        (lambda d: d.update(schema=7), ["schema must be 1, but got 7"]),
        (lambda d: d.update(layers=[]), ["layers must be a list with at least one layer"]),
        (lambda d: d.update(num_classes=0), ["num_classes must be an integer from 2"]),
    ],
)
def test_edited_files_name_file_place_and_rule(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, edit: Any, words: list[str]
) -> None:
    path = _edited(tmp_path, edit)
    _, err = _run(capfd, "show", str(path), code=2)
    for word in [str(path), *words]:
        assert word in " ".join(err.split())
