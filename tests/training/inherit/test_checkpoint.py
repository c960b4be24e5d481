"""Checkpoints of timm and torchvision, by lists of their names and shapes; damaged ones."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nas.errors import InputError
from nas.space.seeds import families
from nas.training.inherit.checkpoint import known_checkpoint, mapped_text, read_tensors
from nas.training.inherit.forms import FORMS

NAMES = Path(__file__).parent.parent / "checkpoint_names.txt"
"""Written by `python -m benchmarks.checkpoint_forms` from the libraries' own state dicts."""
SPARE = {"repvit_m0_9": "head.head_dist."}


def lists() -> dict[tuple[str, str, str], dict[str, tuple[int, ...]]]:
    """(library, its name, ours) → name of a tensor → shape."""
    found: dict[tuple[str, str, str], dict[str, tuple[int, ...]]] = {}
    for line in NAMES.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            library, name, _, ours = line[2:].split()
            current = found[library, name, ours] = {}
            continue
        module, kind, sizes, *bias = line.split()
        shape = tuple(map(int, sizes.split("x")))
        if kind == "bn":
            current |= {f"{module}.{leaf}": shape for leaf in ("weight", "bias", "running_mean", "running_var")}
            current[f"{module}.num_batches_tracked"] = ()
        else:
            current[f"{module}.{kind}"] = shape
            current |= {f"{module}.bias": shape[:1]} if bias else {}
    return found


LISTS = lists()


def filled(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Tensors of these shapes, every number another one as far as float32 goes."""
    tensors, start = {}, 1.0
    for name, shape in shapes.items():
        count = int(torch.Size(shape).numel())
        tensors[name] = (start + torch.arange(count, dtype=torch.float32) % 1000).reshape(shape) / 1000
        start += 7
    return tensors


def test_every_form_has_a_list() -> None:
    ours = {(library, name.rpartition("-")[0]) for library, _, name in LISTS}
    for form in FORMS:
        for family in form.families:
            assert any(library == form.library and family.startswith(known.rstrip("-")) for library, known in ours)
    # What is mapped nowhere is held by neither library.
    mapped = {family for form in FORMS for family in form.families}
    unmapped = {"shufflenetv1", "squeezenext", "espnetv2", "ofa-mobilenetv3", "repvit-path"}
    assert set(families()) - mapped == unmapped
    assert all(name in mapped_text() for name in mapped)


@pytest.mark.parametrize("key", LISTS, ids="-".join)
def test_names_and_shapes_are_those_of_the_known_network(key: tuple[str, str, str]) -> None:
    library, name, ours = key
    tensors = filled(LISTS[key])
    found = known_checkpoint(Path("file"), tensors)
    assert (found.architecture.name, found.form) == (ours, library)
    spare = SPARE.get(name, "-")
    assert all(one.startswith(spare) for one in found.unused)
    used = [value for name, value in tensors.items() if name not in found.unused and value.ndim]
    theirs = sum(value.numel() for value in used)
    assert theirs == sum(value.numel() for value in found.module.state_dict().values() if value.ndim)
    # Every number arrived: sums, but for the variances' shift by the difference of the epsilons.
    shift = 1e-3 - 1e-5 if library == "torchvision" and "mobilenet_v3" in name else 0.0
    variances = sum(value.numel() for name, value in tensors.items() if name.endswith("running_var"))
    total = sum(float(value.double().sum()) for value in used) + shift * variances
    own = sum(float(value.double().sum()) for value in found.module.state_dict().values() if value.ndim)
    assert own == pytest.approx(total, rel=1e-6)


def small() -> dict[str, Tensor]:
    return filled(LISTS["torchvision", "squeezenet1_1", "squeezenet-1.1"])


def test_classes_and_channels_are_the_files_own() -> None:
    tensors = small()
    tensors["classifier.1.weight"], tensors["classifier.1.bias"] = torch.rand(6, 512, 1, 1), torch.rand(6)
    tensors["features.0.weight"] = torch.rand(64, 1, 3, 3)
    found = known_checkpoint(Path("file"), tensors).architecture
    assert (found.num_classes, found.in_channels) == (6, 1)


@pytest.mark.parametrize("kind", ["safetensors", "pth", "in a mapping", "of several processes"])
def test_files_are_read(tmp_path: Path, kind: str) -> None:
    tensors = small()
    if kind == "safetensors":
        path = tmp_path / "a.safetensors"
        save_file(tensors, path)
    else:
        path = tmp_path / "a.pth"
        document: Any = {f"module.{name}": value for name, value in tensors.items()} if kind[:2] == "of" else tensors
        torch.save({"epoch": 3, "state_dict": document} if kind == "in a mapping" else document, path)
    read = read_tensors(path)
    assert read.keys() == tensors.keys() and all(torch.equal(read[name], tensors[name]) for name in read)
    assert known_checkpoint(path, read).architecture.name == "squeezenet-1.1"


def refused(path: Path, *words: str) -> None:
    """One sentence that names the file and says `words`."""
    with pytest.raises(InputError) as caught:
        known_checkpoint(path, read_tensors(path))
    text = str(caught.value)
    assert str(path) in text and "\n" not in text and text.endswith(".")
    assert all(word in text for word in words), text


def test_damaged_checkpoints_are_told_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"

    def saved(tensors: dict[str, Tensor]) -> Path:
        torch.save(tensors, path)
        return path

    missing = small()
    del missing["features.3.expand3x3.bias"]
    refused(saved(missing), "squeezenet-1.1", "torchvision", "features.3.expand3x3.bias is missing")
    wide = small()
    wide["features.3.squeeze.weight"] = torch.rand(17, 64, 1, 1)
    refused(saved(wide), "features.3.squeeze.weight has the shape (17, 64, 1, 1) instead of (16, 64, 1, 1)")
    holes = small()
    holes["features.0.weight"][0, 0, 0, 0] = torch.nan
    refused(saved(holes), "features.0.weight holds NaN")
    refused(saved({"layer1.0.conv1.weight": torch.rand(64, 64, 3, 3)}), "names are of none", "timm's", "repvit")
    refused(tmp_path / "absent.pth", "is not there")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_truncated_file_is_told_in_one_sentence(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".pth":
        torch.save(small(), path)
    else:
        save_file(small(), path)
    whole = path.read_bytes()
    for length in (0, 7, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(path, "whole checkpoint")


class Malicious:
    """A pickle that writes a file where it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "run")


@pytest.mark.parametrize("plain", [False, True])
def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, plain: bool) -> None:
    victim, path = tmp_path / "victim", tmp_path / "a.pth"
    document = {**small(), "more": Malicious(victim)}
    if plain:
        path.write_bytes(pickle.dumps(document))
    else:
        torch.save(document, path)
    refused(path, "tensors alone")
    assert not victim.exists()
