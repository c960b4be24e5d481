"""Networks of public model libraries, exported to ONNX by the libraries' own code and to LiteRT by litert-torch.

Behind `python -m benchmarks.outside_networks export FOLDER`. Needs torchvision, timm and pytorchcv, and onnxscript and
onnx_ir for torch's newer exporter, which are no dependencies: `pip install --no-deps --target LIBRARIES torchvision
timm pytorchcv onnxscript onnx_ir`, and LIBRARIES on the PYTHONPATH.

Weights are random, in eval mode; norms have the statistics of a batch of random images, so that activations neither
vanish nor grow. Branches that a library itself can merge are merged. Files that are there are not made again.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from benchmarks.reference_networks import macs, plain_attention
from nas.files import write_bytes
from nas.nets.extras import quiet, require
from nas.nets.module import set_statistics

LARGEST_MACS = 4_000_000_000
LEGACY, DYNAMO = "legacy", "dynamo"
_OPSETS = {LEGACY: 17, DYNAMO: 18}

# library, model, pixels; one of each four is exported by the newer exporter, the others by the legacy one.
_CATALOGUE = """
torchvision mobilenet_v2 224
timm mobilenetv3_large_100 224
pytorchcv shufflenetv2_w1 224
timm efficientnet_b0 224
timm mobilenetv1_100 224
torchvision resnet18 224
pytorchcv proxylessnas_mobile 224
timm mnasnet_small 224
timm mobilenetv4_conv_small 224
torchvision shufflenet_v2_x0_5 224
pytorchcv espnetv2_w1 224
timm repvit_m0_9 224
timm ghostnet_100 224
torchvision squeezenet1_1 224
pytorchcv sqnxt23_w1 224
timm mobilevit_xxs 256
timm efficientnet_lite0 224
torchvision regnet_x_400mf 224
pytorchcv peleenet 224
timm convnext_atto 224
timm fbnetc_100 224
torchvision mnasnet0_5 224
pytorchcv shufflenet_g3_w1 224
timm edgenext_xx_small 256
timm mobileone_s0 224
torchvision googlenet 224
pytorchcv dicenet_w1 224
timm mixnet_s 224
timm lcnet_100 224
torchvision densenet121 160
pytorchcv igcv3_w1 224
timm repvgg_a0 224
timm tinynet_a 192
torchvision mobilenet_v3_small 160
pytorchcv darknet_tiny 224
timm hardcorenas_a 224
timm mobilevitv2_050 256
torchvision efficientnet_v2_s 192
pytorchcv mobilenet_wd2 224
timm res2net50_14w_8s 160
timm rexnet_100 224
torchvision resnet50 192
pytorchcv fdmobilenet_w1 224
timm mobilenetv4_conv_medium 192
timm semnasnet_075 192
torchvision shufflenet_v2_x1_5 224
pytorchcv menet228_12x1_g3 224
timm ghostnetv2_100 192
timm tf_efficientnet_lite1 240
torchvision regnet_y_400mf 224
pytorchcv sqnxt23v5_w2 224
timm repghostnet_100 224
timm mobilenetv2_120d 160
torchvision squeezenet1_0 192
pytorchcv hardnet39ds 224
timm mobilenetv4_hybrid_medium 192
timm fbnetv3_b 192
torchvision resnet34 160
pytorchcv shufflenet_g8_w1 224
timm mobileone_s2 192
timm lcnet_050 192
torchvision efficientnet_b1 240
pytorchcv mixnet_m 224
timm cspdarknet53 160
timm mobilenetv3_small_075 256
torchvision mnasnet1_3 192
pytorchcv vovnet27s 224
timm starnet_s1 224
timm tinynet_d 160
timm hardcorenas_c 192
pytorchcv bninception 224
timm efficientnet_es 192
timm spnasnet_100 224
torchvision alexnet 224
pytorchcv preresnet10 224
timm convnext_femto 192
timm dla46_c 224
torchvision regnet_y_800mf 192
pytorchcv selecsls42b 224
timm edgenext_x_small 224
timm mobilevit_xs 192
timm inception_v3 192
pytorchcv darknet19 224
timm efficientvit_b0 224
timm regnety_002 224
timm mobilenet_edgetpu_v2_xs 224
pytorchcv efficientnet_b0b 224
timm mobilevitv2_075 192
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """A network of a public library: how to make it, at which size, and by which exporter."""

    library: str
    model: str
    pixels: int
    exporter: str

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.library}-{self.model}-{self.pixels}"

    def make(self) -> nn.Module:
        """The network in eval mode, branches merged."""
        module = _MAKERS[self.library](self.model)
        set_statistics(module, (3, self.pixels, self.pixels))
        if self.library == "timm":
            module = importlib.import_module("timm.utils").reparameterize_model(module)
        return module.eval()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export left in a folder: `name`.onnx, `name`.tflite where `litert` is empty and not the reason of a
    refusal, and this record."""

    name: str
    library: str
    release: str
    model: str
    pixels: int
    exporter: str
    macs: int
    litert: str | None = None


def catalogue() -> list[Outside]:
    """The networks, in the order in which they are made and measured."""
    rows = [line.split() for line in _CATALOGUE.strip().splitlines()]
    return [
        Outside(library=library, model=model, pixels=int(pixels), exporter=DYNAMO if i % 4 == i // 4 % 4 else LEGACY)
        for i, (library, model, pixels) in enumerate(rows)
    ]


def _of_timm(name: str) -> nn.Module:
    model: nn.Module = importlib.import_module("timm").create_model(name, pretrained=False)
    return model


def _of_torchvision(name: str) -> nn.Module:
    options = {"googlenet": {"aux_logits": False, "init_weights": False}}.get(name, {})
    model: nn.Module = getattr(importlib.import_module("torchvision.models"), name)(**options)
    return model


def _of_pytorchcv(name: str) -> nn.Module:
    model: nn.Module = importlib.import_module("pytorchcv.model_provider").get_model(name, pretrained=False)
    return model


_MAKERS: dict[str, Callable[[str], nn.Module]] = {
    "timm": _of_timm,
    "torchvision": _of_torchvision,
    "pytorchcv": _of_pytorchcv,
}


def exports(folder: Path) -> Iterator[Exported]:
    """The records of the exports in `folder`, in the catalogue's order."""
    for outside in catalogue():
        path = folder / f"{outside.name}.json"
        if path.exists() and (folder / f"{outside.name}.onnx").exists():
            yield Exported(**json.loads(path.read_text("utf-8")))


def export(folder: Path) -> None:
    """Make the files that are not there: first all ONNX files, then all LiteRT files."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    for outside in tqdm(catalogue(), desc="ONNX"):
        if not (folder / f"{outside.name}.json").exists():
            _export_onnx(outside, folder)
    records = {record.name: record for record in exports(folder)}
    for outside in tqdm([outside for outside in catalogue() if outside.name in records], desc="LiteRT"):
        if records[outside.name].litert is None:
            _export_litert(outside, records[outside.name], folder)


def as_if_trained(module: nn.Module) -> nn.Module:
    """The network with a 1 where a norm's scale starts at 0, as libraries have it at the end of residual branches, and
    a slope of its own for each channel of a PReLU: a converter folds such a branch away, and makes one product of equal
    slopes, and the file would not be the network."""
    with torch.no_grad():
        for part in module.modules():
            weight = getattr(part, "weight", None)
            if isinstance(part, nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm) and isinstance(weight, torch.Tensor):
                weight[weight == 0] = 1.0
            if isinstance(part, nn.PReLU):
                part.weight.uniform_(0.05, 0.45)
    return module


def _export_onnx(outside: Outside, folder: Path) -> None:
    torch.manual_seed(0)
    path, made = folder / f"{outside.name}.onnx", folder / f"{outside.name}.part.onnx"
    try:
        module = as_if_trained(outside.make())
        count = macs(plain_attention(copy.deepcopy(module)), outside.pixels)
        if count > LARGEST_MACS:
            raise ValueError(f"a network must have at most {LARGEST_MACS} multiply-adds, but has {count}")
        options: dict[str, Any] = {"external_data": False} if outside.exporter == DYNAMO else {}
        image = torch.zeros(1, 3, outside.pixels, outside.pixels)
        with quiet(), torch.no_grad():
            torch.onnx.export(
                module, (image,), str(made), opset_version=_OPSETS[outside.exporter],
                dynamo=outside.exporter == DYNAMO, **options,
            )  # fmt: skip
        os.replace(made, path)
    # A library and an exporter raise what they like; the network is reported as missing.
    except Exception as error:  # noqa: BLE001
        tqdm.write(f"{outside.name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
        return
    release = version(outside.library).partition("+")[0]
    _write(folder, Exported(**asdict(outside), name=outside.name, release=release, macs=count))


def _export_litert(outside: Outside, record: Exported, folder: Path) -> None:
    """Convert a network; a converter that ends the process is not tried again."""
    _write(folder, Exported(**{**asdict(record), "litert": "the process ended"}))
    torch.manual_seed(0)
    try:
        module = as_if_trained(outside.make())
        with quiet(), torch.no_grad():
            image = torch.zeros(1, 3, outside.pixels, outside.pixels)
            content = require("litert_torch", "litert").convert(module, (image,)).model_content()
        write_bytes(folder / f"{outside.name}.tflite", content)
        refusal = ""
    # As above.
    except Exception as error:  # noqa: BLE001
        refusal = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        tqdm.write(f"{outside.name}: {refusal}")
    _write(folder, Exported(**{**asdict(record), "litert": refusal}))


def _write(folder: Path, record: Exported) -> None:
    write_bytes(folder / f"{record.name}.json", (json.dumps(asdict(record), indent=1) + "\n").encode())
