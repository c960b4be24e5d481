from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
import safetensors
import torch
import yaml

from nas.accuracy import AccuracyEstimate
from nas.errors import InputError, NasError
from nas.latency import Estimate
from nas.nets import build
from nas.space import find_known, load_architecture
from nas.zoo import export_architecture, find_entry, load
from nas.zoo.formats import FORMATS
from tests.zoo.networks import ACCURACY, LATENCY, small


def export(root: Path, **options: Any) -> Path:
    return export_architecture(small(), **{"name": "small", "root": root, **options})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_export_is_a_folder_with_everything(tmp_path: Path) -> None:
    folder = export(tmp_path / "runs" / "zoo")
    assert folder == tmp_path / "runs" / "zoo" / "small-untrained"
    assert names(folder) == ["README.md", "architecture.yaml", "manifest.json", "model.onnx", "model.safetensors"]
    assert names(folder.parent) == ["small-untrained"]
    network = small()
    assert load_architecture(folder) == network
    model = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert {p.key: p.value for p in model.metadata_props}["untrained"] == "true"
    with safetensors.safe_open(folder / "model.safetensors", "pt") as weights:
        assert json.loads(weights.metadata()["nas"]) == {"digest": network.digest, "untrained": True}
        assert set(weights.keys()) == set(build(network).state_dict())


def test_the_manifest_has_the_figures(tmp_path: Path) -> None:
    folder = export(tmp_path, latency=LATENCY, accuracy=ACCURACY, device="iphone12", run="20261123-101502-ab12", seed=7)
    manifest = json.loads((folder / "manifest.json").read_text())
    network = small()
    assert {key: manifest[key] for key in ("digest", "params", "training_params", "macs", "untrained", "seed")} == {
        "digest": network.digest, "params": network.params, "training_params": network.training_params,
        "macs": network.macs, "untrained": True, "seed": 7,
    }  # fmt: skip
    assert (manifest["latency"], manifest["accuracy"], manifest["device"]) == (LATENCY, ACCURACY, "iphone12")
    assert manifest["run"] == "20261123-101502-ab12"
    assert 0 < manifest["checks"]["onnx"]["max_relative_error"] <= 1e-4
    assert sorted(manifest["files"]) == ["README.md", "architecture.yaml", "model.onnx", "model.safetensors"]


def test_figures_may_be_the_records_of_the_models(tmp_path: Path) -> None:
    latency = Estimate(mean_ms=0.9, low_ms=0.85, high_ms=0.97, source="measured", shares={"measured": 1.0})
    accuracy = AccuracyEstimate(mean=0.7, low=0.6, high=0.8, recipe="r", source="predicted")
    manifest = find_entry(export(tmp_path, latency=latency, accuracy=accuracy)).manifest
    assert (manifest["latency"], manifest["accuracy"]) == (latency.as_json(), accuracy.as_json())


def test_the_card_says_what_is_known_and_from_where(tmp_path: Path) -> None:
    folder = export(tmp_path, latency=LATENCY, accuracy=ACCURACY, device="iphone12", run="20261123-101502-ab12", seed=7)
    card = (folder / "README.md").read_text(encoding="utf-8")
    _, head, text = card.split("---\n", 2)
    assert yaml.safe_load(head)["untrained"] is True
    assert "# small (untrained)" in text
    assert "**Untrained: the weights are random (seed 7).**" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert "| latency on iphone12 | 0.900 ms [0.850, 0.970] | modelled | published 25 %, modelled 75 % |" in rows
    assert "| top1 | 74.1 % [73.1, 75.0] | predicted | recipe: 300 epochs, no distillation |" in rows
    assert "Warning: few networks like this one were published" in text
    assert "`nas runs show 20261123-101502-ab12`" in text
    assert f"{small().params:,}" in text and f"{small().macs:,}" in text


def test_a_card_without_figures_claims_none(tmp_path: Path) -> None:
    text = (export(tmp_path) / "README.md").read_text(encoding="utf-8")
    assert "latency" not in text and "top" not in text and "published" not in text


def test_published_figures_are_called_so(tmp_path: Path) -> None:
    known = find_known("mobilenetv3-small-0.75")
    network, published = known.architecture, known.published
    folder = export_architecture(network, name=network.name, root=tmp_path)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert f"| top-1 | {published['top1']:g} % | published | {published['source']} |" in text


def test_the_same_seed_exports_the_same_weights(tmp_path: Path) -> None:
    weights = [
        (export(tmp_path / str(i), seed=seed) / "model.safetensors").read_bytes() for i, seed in enumerate((3, 3, 4))
    ]
    assert weights[0] == weights[1] != weights[2]


def test_given_weights_are_exported_and_not_called_untrained(tmp_path: Path) -> None:
    weights = build(small(), seed=9).state_dict()
    folder = export(tmp_path, weights=weights)
    assert folder.name == "small"
    assert "untrained" not in (folder / "README.md").read_text(encoding="utf-8").replace("untrained: false", "")
    loaded = load(folder).module.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in weights.items())


def test_the_same_network_again_replaces_the_folder(tmp_path: Path) -> None:
    first = export(tmp_path, seed=1)
    (first / "leftover").write_text("x")
    second = export(tmp_path, seed=2)
    assert first == second and "leftover" not in names(second)
    assert find_entry(second).manifest["seed"] == 2
    assert names(tmp_path) == ["small-untrained"]


def test_another_network_of_the_same_name_gets_its_own_folder(tmp_path: Path) -> None:
    first = export(tmp_path)
    other = small(num_classes=6)
    second = export_architecture(other, name="small", root=tmp_path)
    assert second.name == f"small-{other.digest[:8]}-untrained"
    assert find_entry(first).manifest["digest"] == small().digest
    assert export_architecture(other, name="small", root=tmp_path) == second
    assert len(names(tmp_path)) == 2


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "with space", "/etc/x"])
def test_a_name_is_a_plain_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the name of an exported network must be a plain name"):
        export(tmp_path, name=name)


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"format must be a known name.*'onxx' \(nearest: onnx\)"):
        export(tmp_path, formats=["onxx"])
    assert names(tmp_path) == []


def test_the_onnx_file_is_there_whatever_the_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"litert": "1", "max_relative_error": 0.0, "limit": 1e-3, "operators": {}}
    fake = FORMATS["litert"]._replace(
        needs=None, write=lambda module, path, trained: path.write_bytes(b"x"), check=lambda module, path: facts
    )
    monkeypatch.setitem(FORMATS, "litert", fake)
    folder = export(tmp_path, formats=["litert"])
    assert {"model.onnx", "model.tflite"} < set(names(folder))
    assert find_entry(folder).formats == ("onnx", "litert")


def test_a_file_that_computes_something_else_is_never_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nas import nets

    def other_weights(module: nets.GraphModule, path: Path, *, trained: bool) -> Path:
        return real(small(), path, weights=build(small(), seed=99).state_dict())

    real = nets.export_onnx
    monkeypatch.setattr(nets, "export_onnx", other_weights)
    with pytest.raises(NasError, match=r"model.onnx must compute what the network computes in torch"):
        export(tmp_path)
    assert names(tmp_path) == []


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = export(tmp_path, seed=1)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nas.files.os.replace", full)  # the one `os`: nothing can be renamed
    with pytest.raises(NasError, match="No space left on device") as caught:
        export(tmp_path, seed=2)
    assert caught.value.exit_code == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert names(tmp_path) == ["small-untrained"]


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, paper: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("nas.zoo.export.card_text", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(tmp_path)
    assert names(tmp_path) == []


def test_a_zoo_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NasError, match=r"file must be writable"):
        export(tmp_path / "file")
