from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.errors import InputError
from nas.latency.device import read_device
from nas.measure.bundle import (
    MANIFEST_FILE,
    bundled,
    checksum,
    default_format,
    is_bundle,
    read_bundle,
    timings_path,
    write_manifest,
)
from nas.runtimes import ONNX_RUNTIME, OWN
from tests.measure.bundles import add_phone, small_bundle, three_items


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    bundle = replace(small_bundle(("onnx", "litert")), left_out={"probe-9": "no form"})
    write_manifest(bundle, tmp_path)
    assert read_bundle(tmp_path) == bundle
    assert bundle.is_whole and not replace(bundle, wanted=4).is_whole
    assert bundle.reference.name == "mobilenetv3-large-1.0"


@pytest.mark.parametrize("runtime", [OWN, ONNX_RUNTIME], ids=["own", "onnx-runtime"])
def test_networks_are_built_again_from_the_manifest_alone(tmp_path: Path, runtime: Any) -> None:
    write_manifest(small_bundle(), tmp_path)
    for network, item in zip(read_bundle(tmp_path).networks, three_items(), strict=True):
        again = network.item(runtime, "here")
        assert (again.name, again.digest, again.role) == (item.name, item.digest, item.role)
        assert again.macs == item.macs and again.graph().params == item.graph().params
        assert [s.key for s in again.segments if "reorder" not in s.key] != []


def test_a_network_that_this_version_builds_otherwise_is_refused() -> None:
    network = replace(small_bundle().networks[2], digest="0123456789abcdef")
    with pytest.raises(InputError, match=r"m\.json: probe-3 must be the network 0123456789abcdef, but is"):
        network.item(OWN, "m.json")


def test_a_network_takes_the_place_of_the_same_one() -> None:
    bundle = small_bundle()
    other = replace(bundle.networks[1], name="renamed")
    assert [n.name for n in bundle.with_network(other).networks] == ["mobilenetv3-large-1.0", "renamed", "probe-3"]
    new = replace(other, digest="new")
    assert bundle.with_network(new).networks == (*bundle.networks, new)


def edited(change: Callable[[dict[str, Any]], object]) -> str:
    document = small_bundle().as_json()
    change(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "must be valid JSON"),
        ("[" * 100_000, "must be valid JSON"),
        ("[1]", "must be a mapping"),
        (edited(lambda d: d.update(schema=2)), "schema must be 1, but got 2"),
        (edited(lambda d: d.pop("seed")), "the key 'seed' must be given"),
        (edited(lambda d: d.update(sed=1)), "did you mean 'seed'?"),
        (edited(lambda d: d.update(wanted="3")), "wanted must be of the type int"),
        (edited(lambda d: d["networks"].append(d["networks"][1])), "a network must be listed once"),
        (edited(lambda d: d["networks"].pop(0)), "the first network must be the reference"),
        (edited(lambda d: d["networks"][1].pop("digest")), "the key 'digest' must be given"),
        (edited(lambda d: d["networks"][1].update(architecture=3)), "architecture must be of the type dict"),
        (edited(lambda d: d["networks"][1]["files"]["onnx"].update(path="../../etc/passwd")), "but got '../../etc"),
        (edited(lambda d: d["networks"][1]["files"]["onnx"].update(path="onnx/..")), "but got 'onnx/..'"),
        (edited(lambda d: d["networks"][1]["files"].pop("onnx")), "the key 'onnx' must be given"),
        (edited(lambda d: d.update(formats=["exe"])), "formats must be of onnx, litert, coreml, but got ['exe']"),
    ],
)
def test_a_bad_manifest_is_told_with_its_place(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_bundle(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / MANIFEST_FILE)) and words in str(caught.value)


def test_a_bundle_is_told_from_other_tables(tmp_path: Path) -> None:
    file, copy, other = (tmp_path / name for name in ("timings.csv", "copy.csv", "table.csv"))
    copy.write_text("network,format,file,latency_ms,sha256\n", encoding="utf-8")
    other.write_text("segment,mean_ms\n", encoding="utf-8")
    assert not is_bundle(file) and not is_bundle(tmp_path) and not is_bundle(tmp_path / "absent" / "t.csv")
    assert is_bundle(copy) and not is_bundle(other)
    with pytest.raises(InputError, match=r"manifest\.json must be there .*; bring timings\.csv back to the folder"):
        read_bundle(tmp_path)
    write_manifest(small_bundle(), tmp_path)
    assert is_bundle(file) and is_bundle(tmp_path) and not is_bundle(other)
    assert timings_path(tmp_path) == file == timings_path(file)


def test_the_checksum_of_a_package_leaves_out_what_is_made_anew(tmp_path: Path) -> None:
    def package(name: str, identifiers: str, weights: str) -> Path:
        folder = tmp_path / name
        (folder / "Data").mkdir(parents=True)
        (folder / "Manifest.json").write_text(identifiers)
        (folder / "Data" / "weights.bin").write_text(weights)
        return folder

    first = package("a.mlpackage", "id 1", "w")
    assert checksum(first) == checksum(package("b.mlpackage", "id 2", "w"))
    assert checksum(first) != checksum(package("c.mlpackage", "id 1", "v"))
    listed = f"{hashlib.sha256(b'w').hexdigest()}  Data/weights.bin\n"
    assert checksum(first) == hashlib.sha256(listed.encode()).hexdigest()
    assert checksum(first / "Data" / "weights.bin") == hashlib.sha256(b"w").hexdigest()


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [
        ("Core ML, iOS 17", "coreml"), ("LiteRT", "litert"), ("TensorFlow Lite 2.14", "litert"),
        ("TFLite GPU delegate", "litert"), ("ONNX Runtime", "onnx"), ("TensorRT", "onnx"),
    ],
)  # fmt: skip
def test_a_device_is_given_what_its_runtime_reads(runtime: str, expected: str, tmp_path: Path) -> None:
    device = read_device(add_phone(tmp_path))
    assert default_format(replace(device, runtime=runtime)) == expected


def test_names_of_files_are_plain() -> None:
    item = replace(three_items()[1], name="my net/é..x@64")
    assert bundled(item, 7, ("coreml",)).files["coreml"].path == "coreml/007-my_net__..x@64.mlpackage"


def test_times_that_left_their_folder_are_those_of_a_bundle_still(tmp_path: Path) -> None:
    """So that whoever imports them is told to bring them back."""
    file = tmp_path / "timings.csv"
    file.write_text("network,format,file,latency_ms,sha256\n", encoding="utf-8")
    assert is_bundle(file) and not is_bundle(tmp_path)
    file.write_text("network,latency_ms\n", encoding="utf-8")  # that somebody called so
    assert not is_bundle(file)
