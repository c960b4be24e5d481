"""Compares checkpoints of timm and torchvision, read into our networks: `python -m benchmarks.checkpoint_forms`.

Needs both, which are no dependencies (`pip install --no-deps torchvision timm`). Each of their networks gets random
weights and statistics, keeps its epsilons, and is saved; the file is read as a user's would be. Writes the names and
shapes to `tests/training/checkpoint_names.txt`, which the tests read, and `benchmarks/checkpoint_forms.md`.
"""

from __future__ import annotations

import datetime
import importlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from benchmarks import reference_networks
from nas.nets import build
from nas.training.inherit.checkpoint import known_checkpoint, read_tensors

_ROOT = Path(__file__).resolve().parent.parent
NAMES = _ROOT / "tests" / "training" / "checkpoint_names.txt"
REPORT = _ROOT / "benchmarks" / "checkpoint_forms.md"
SIDE = 96


class Case(NamedTuple):
    """A network of ours, whose it is, by which name, and whether the tests keep its names."""

    network: str
    library: str
    name: str
    options: dict[str, Any]
    kept: bool = False


def cases() -> Iterator[Case]:
    """Every network that both a library and we have; those without options of their own as their users load them."""

    def timm(network: str, name: str, *, kept: bool = False, **options: Any) -> Case:
        return Case(network, "timm", name, options, kept)

    def vision(network: str, name: str, *, kept: bool = False, **options: Any) -> Case:
        return Case(network, "torchvision", name, options, kept)

    yield timm("mobilenetv1-1.0", "mobilenetv1_100", kept=True)
    for width, name in ((0.35, "035"), (0.5, "050"), (0.75, "075"), (1.0, "100"), (1.4, "140")):
        yield timm(f"mobilenetv2-{width}", f"mobilenetv2_{name}", kept=width == 0.5)
    for size in ("large", "small"):
        yield timm(f"mobilenetv3-{size}-1.0", f"mobilenetv3_{size}_100", kept=True)
        yield timm(f"mobilenetv3-{size}-0.75", f"mobilenetv3_{size}_075")
        # Their "same" padding of an even map is no matter of weights.
        name = f"tf_mobilenetv3_{size}_minimal_100"
        yield timm(f"mobilenetv3-{size}-minimalistic-1.0", name, kept=True, pad_type="", bn_eps=1e-5)
    yield timm("mnasnet-a1", "semnasnet_100")
    yield timm("mnasnet-b1", "mnasnet_100")
    yield timm("mnasnet-small", "mnasnet_small", kept=True)
    for i in range(4):
        yield timm(f"efficientnet-b{i}", f"efficientnet_b{i}", kept=i == 0)
    for i in range(5):
        yield timm(f"efficientnet-lite{i}", f"efficientnet_lite{i}", kept=i == 0)
    yield timm("fbnet-c", "fbnetc_100", kept=True)
    yield timm("ghostnet-1.0", "ghostnet_100", kept=True)
    for size in ("a0", "a1", "a2", "b0"):
        yield timm(f"repvgg-{size}", f"repvgg_{size}", kept=size == "a0")
    for i in range(5):
        yield timm(f"mobileone-s{i}", f"mobileone_s{i}", kept=i in (1, 4))
    for size in ("0.9", "1.0", "1.1", "1.5", "2.3"):
        name = f"repvit_m{size.replace('.', '_')}"
        # With its second head, which ours lacks, theirs gives the mean of both.
        yield timm(f"repvit-m{size}", name, distillation=False)
    for size in ("xxs", "xs", "s"):
        yield timm(f"mobilevit-{size}", f"mobilevit_{size}", kept=size == "xxs")
    for percent in (50, 75, 100, 125, 150, 175, 200):
        yield timm(f"mobilevitv2-{percent / 100}", f"mobilevitv2_{percent:03d}", kept=percent == 50)
    for width in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4):
        yield vision(f"mobilenetv2-{width}", "mobilenet_v2", width_mult=width, kept=width == 0.35)
    for size in ("large", "small"):
        yield vision(f"mobilenetv3-{size}-1.0", f"mobilenet_v3_{size}", kept=True)
    for i in range(4):
        yield vision(f"efficientnet-b{i}", f"efficientnet_b{i}", kept=i == 0)
    yield vision("mnasnet-b1", "mnasnet1_0", kept=True)
    for size in ("0.5", "1.0", "1.5", "2.0"):
        yield vision(f"shufflenetv2-{size}", f"shufflenet_v2_x{size.replace('.', '_')}", kept=size == "0.5")
    for size in ("1.0", "1.1"):
        yield vision(f"squeezenet-{size}", f"squeezenet{size.replace('.', '_')}", kept=size == "1.1")


def names_only() -> Iterator[Case]:
    """Networks whose names the tests keep, and whose outputs are not compared: RepViT as it is released, and
    PoolFormer, whose head is the authors' with us."""
    yield Case("repvit-m0.9", "timm", "repvit_m0_9", {}, True)
    yield Case("poolformer-s12", "timm", "poolformer_s12", {}, True)


def make(case: Case) -> nn.Module:
    """The library's network."""
    if case.library == "timm":
        model: nn.Module = importlib.import_module("timm").create_model(case.name, pretrained=False, **case.options)
    else:
        model = getattr(importlib.import_module("torchvision.models"), case.name)(**case.options)
    return reference_networks.plain_attention(model)


def randomise(model: nn.Module) -> None:
    """Give every weight and statistic a random value; epsilons stay."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            deviation = 0.1 if parameter.ndim < 2 else (2 / parameter[0].numel()) ** 0.5
            centre = 1.0 if parameter.ndim < 2 and name != "bias" else 0.0
            parameter.data.normal_(centre, deviation)
        if isinstance(module, reference_networks.Norm):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)


def difference(case: Case, folder: Path) -> tuple[str, float]:
    """The network that the file is taken for, and max|ours - theirs| / max|theirs| for two random images."""
    torch.manual_seed(0)
    theirs = make(case)
    randomise(theirs)
    path = folder / "checkpoint.pth"
    torch.save(theirs.state_dict(), path)
    found = known_checkpoint(path, read_tensors(path))
    images = torch.randn(2, 3, SIDE, SIDE)
    ours = build(found.architecture.at_resolution(SIDE)).eval()
    weights = zip(ours.state_dict(), found.module.state_dict().values(), strict=True)
    ours.load_state_dict(dict(weights))  # a layer may be called otherwise where its map is a single value
    with torch.no_grad():
        expected, got = theirs(images), ours(images)
    return found.architecture.name, float((expected - got).abs().max() / expected.abs().max())


def module_lines(case: Case) -> list[str]:
    """The state dict's modules: name, what it is (`bn`, or its first entry), that entry's shape, `+bias`."""
    with torch.device("meta"):
        state = make(case).state_dict()
    modules: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in state.items():
        modules.setdefault(name.rpartition(".")[0], {})[name.rpartition(".")[2]] = value
    lines = [f"# {case.library} {case.name} = {case.network}"]
    for module, leaves in modules.items():
        leaf, value = next(iter(leaves.items()))
        shape = "x".join(map(str, value.shape))
        kind = "bn" if "running_mean" in leaves else leaf
        lines.append(f"{module} {kind} {shape}" + " +bias" * ("bias" in leaves and kind != "bn"))
    return lines


def main() -> None:
    """Run every comparison and write both files."""
    importlib.import_module("timm"), importlib.import_module("torchvision")
    rows, names = [], []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases():
            taken_for, apart = difference(case, Path(folder))
            rows.append(f"| {case.library} | {case.name} | {case.network} | {taken_for} | {apart:.1e} |")
            print(rows[-1], flush=True)
            if taken_for != case.network or not apart <= 1e-4:
                raise SystemExit(f"{case.name} must be read as {case.network} with equal outputs")
    for case in [*cases(), *names_only()]:
        if case.kept:
            names += module_lines(case)
    NAMES.write_text("\n".join(names) + "\n", encoding="utf-8")
    REPORT.write_text(_report(rows), encoding="utf-8")


def _report(rows: list[str]) -> str:
    versions = ", ".join(
        f"{name} {importlib.import_module(name).__version__}" for name in ("timm", "torchvision", "torch")
    )
    return "\n".join(
        [
            "# Checkpoints of others in our networks",
            "",
            f"{datetime.date.today().isoformat()}, {versions}, CPU.",
            "Written by `python -m benchmarks.checkpoint_forms`.",
            "",
            f'"Outputs differ by" is max|ours - theirs| / max|theirs| for two random images of {SIDE} pixels, with',
            "random weights and statistics and the library's own epsilons, all 1000 classes.",
            "",
            "| library | its network | ours | taken for | outputs differ by |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
