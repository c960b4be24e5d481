from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.errors import InputError, NasError
from nas.testing.formats import FormatConformance
from nas.zoo import export_architecture, find_entry, verify
from nas.zoo.formats import FORMATS, Format
from tests.extras import needs
from tests.zoo.networks import small


class TestOnnx(FormatConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def file_format(cls) -> Format:
        return FORMATS["onnx"]


@pytest.mark.slow
class TestCoreML(FormatConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def file_format(cls) -> Format:
        needs("coremltools")
        return FORMATS["coreml"]


@pytest.mark.slow
class TestLiteRT(FormatConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def file_format(cls) -> Format:
        needs("litert_torch")
        return FORMATS["litert"]


def test_every_format_passes_the_suite() -> None:
    assert list(FORMATS) == ["onnx", "coreml", "litert"]


def test_every_format_in_one_folder(tmp_path: Path) -> None:
    needs("coremltools")
    needs("litert_torch")
    folder = export_architecture(small(), name="small", root=tmp_path, formats=list(FORMATS))
    assert {file_format.file for file_format in FORMATS.values()} <= {path.name for path in folder.iterdir()}
    manifest = find_entry(folder).manifest
    assert "model.mlpackage/Data/com.apple.CoreML/weights/weight.bin" in manifest["files"]
    assert manifest["checks"]["litert"]["max_relative_error"] <= manifest["checks"]["litert"]["limit"] == 1e-3
    assert manifest["checks"]["coreml"]["max_relative_error"] is None
    card = find_entry(folder).card()
    assert "**It was not run**" in card and "interpreter of LiteRT" in card
    for file_format in FORMATS.values():
        assert f"| `{file_format.file}` |" in card
    assert verify(folder) == manifest["checks"]

    weights = folder / "model.mlpackage/Data/com.apple.CoreML/weights/weight.bin"
    weights.write_bytes(weights.read_bytes()[::-1])
    with pytest.raises(NasError, match=r"weight\.bin must have the checksum of its manifest"):
        verify(folder)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", ".", "a//b", ""])
def test_a_manifest_names_files_of_its_folder_only(name: str, tmp_path: Path) -> None:
    folder = export_architecture(small(), name="small", root=tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": "0", "bytes": 0}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="files must name files of the folder"):
        find_entry(folder)


def test_a_network_that_leaves_the_neural_engine_is_flagged(tmp_path: Path) -> None:
    layers = [{"block": "conv", "out": 8, "stride": 2}, {"block": "mobilevit", "dim": 16, "hidden": 16, "layers": 1}]
    network = small(layers=[*layers, {"block": "head"}])
    card = find_entry(export_architecture(network, name="small", root=tmp_path)).card()
    assert "Warning: operators reported to leave Apple's Neural Engine" in card
