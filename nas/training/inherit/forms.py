"""How timm and torchvision name the weights of the known networks.

A form says, for each block of ours, where the weights of its operators are inside their modules, in the order of the
operators. The modules are found by the pattern of their names, in order, and there must be as many as our layers have.
Sources: pytorch/vision (torchvision/models) and huggingface/pytorch-image-models (timm/models).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from nas.space.architecture import Layer


class Part(NamedTuple):
    """A module with a weight, and the batch norm behind it (before it, for a classifier); "" for none."""

    weight: str
    norm: str = ""


class Branches(NamedTuple):
    """The parts of a sum of branches, in the order of ours, and the norm behind the sum."""

    parts: tuple[Part, ...]
    norm: str = ""


Parts = tuple[Part | Branches, ...]
Template = Callable[[Layer, int], Parts]
"""(our layer, channels of its input) → where its weights are, by names inside their module."""


def _by_position(name: str) -> int:
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How one `library` names the weights of some `families`.

    `first` and `last` are the parts of our first and last layers, which have names of their own there; `modules` is the
    pattern of the others' names, whose numbers tell their order (and `rank`, of those that begin with the same one).
    A layer is `together` modules of theirs, and `template` is by block. `epsilon` is that of the library's batch norms.
    """

    library: str
    families: tuple[str, ...]
    modules: str
    templates: Mapping[str, Template]
    first: tuple[Parts, ...] = ()
    last: tuple[Parts, ...] = ()
    epsilon: float = 1e-5
    together: int = 1
    rank: Callable[[str], int] = _by_position

    def sequence(self, keys: Collection[str]) -> list[str]:
        """The names of the modules that `keys` are in, in the order in which they run."""
        pattern = re.compile(self.modules)
        found = {match[0]: match for key in keys if (match := pattern.match(key))}

        def order(name: str) -> tuple[int, ...]:
            stage, *rest = (int(number) for number in found[name].groups() if number is not None)
            return (stage, self.rank(name), *rest)

        return sorted(found, key=order)

    def parts(self, layers: list[tuple[Layer, int]], keys: Collection[str]) -> list[Parts] | None:
        """Where the weights of each layer (with the channels of its input) are in a checkpoint of `keys`; None where
        those are of a network with other layers."""
        modules = self.sequence(keys)
        middle = layers[len(self.first) : len(layers) - len(self.last)]
        if len(modules) != self.together * len(middle) or any(one.block not in self.templates for one, _ in middle):
            return None
        found = list(self.first)
        for i, (layer, channels) in enumerate(middle):
            own = modules[i * self.together : (i + 1) * self.together]
            found.append(tuple(_inside(own, part) for part in self.templates[layer.block](layer, channels)))
        return [*found, *self.last]


def _inside(modules: list[str], part: Part | Branches) -> Part | Branches:
    """`part` by its whole name. Where a layer is several modules, its name begins with which of them it is in."""

    def whole(name: str) -> str:
        if not name:
            return ""
        which, _, rest = name.partition("|")
        return f"{modules[int(which)]}.{rest}" if rest else f"{modules[0]}.{name}"

    if isinstance(part, Branches):
        return Branches(tuple(Part(whole(one.weight), whole(one.norm)) for one in part.parts), whole(part.norm))
    return Part(whole(part.weight), whole(part.norm))


def _number(layer: Layer, name: str) -> int:
    value = layer.arg(name)
    assert isinstance(value, int)
    return value


def _keeps(layer: Layer, channels: int) -> bool:
    """Whether its result has the shape of its input."""
    return layer.arg("stride") == 1 and layer.arg("out") == channels


def _gate(present: int, reduce: str, expand: str) -> Parts:
    """The two convolutions of squeeze-and-excitation, if it is there."""
    return (Part(reduce), Part(expand)) if present else ()


def _timm_mbconv(layer: Layer, channels: int) -> Parts:
    gate = _gate(_number(layer, "se"), "se.conv_reduce", "se.conv_expand")
    if layer.arg("hidden") == channels:
        return (Part("conv_dw", "bn1"), *gate, Part("conv_pw", "bn2"))
    return (Part("conv_pw", "bn1"), Part("conv_dw", "bn2"), *gate, Part("conv_pwl", "bn3"))


def _timm_fbnet(layer: Layer, channels: int) -> Parts:
    return (Part("conv_pw", "bn1"), Part("conv_dw", "bn2"), Part("conv_pwl", "bn3"))


def _timm_separable(layer: Layer, channels: int) -> Parts:
    return (Part("conv_dw", "bn1"), Part("conv_pw", "bn2"))


def _timm_conv(layer: Layer, channels: int) -> Parts:
    return (Part("conv", "bn1"),)


def _timm_ghost(layer: Layer, channels: int) -> Parts:
    first, second = (
        tuple(Part(f"{half}.{kind}.0", f"{half}.{kind}.1") for kind in ("primary_conv", "cheap_operation"))
        for half in ("ghost1", "ghost2")
    )
    depthwise = (Part("conv_dw", "bn_dw"),) if layer.arg("stride") == 2 else ()
    gate = _gate(_number(layer, "se"), "se.conv_reduce", "se.conv_expand")
    skip = (Part("shortcut.0", "shortcut.1"), Part("shortcut.2", "shortcut.3"))
    return (*first, *depthwise, *gate, *second, *(() if _keeps(layer, channels) else skip))


def _vision_mbconv_v2(layer: Layer, channels: int) -> Parts:
    if layer.arg("hidden") == channels:
        return (Part("conv.0.0", "conv.0.1"), Part("conv.1", "conv.2"))
    return (Part("conv.0.0", "conv.0.1"), Part("conv.1.0", "conv.1.1"), Part("conv.2", "conv.3"))


def _vision_mbconv(layer: Layer, channels: int) -> Parts:
    gate = bool(layer.arg("se"))
    kinds = [*([] if layer.arg("hidden") == channels else ["conv"]), "conv", *["gate"] * gate, "conv"]
    parts: list[Part | Branches] = []
    for i, kind in enumerate(kinds):
        at = f"block.{i}"
        parts += [Part(f"{at}.0", f"{at}.1")] if kind == "conv" else _gate(1, f"{at}.fc1", f"{at}.fc2")
    return tuple(parts)


def _vision_conv(layer: Layer, channels: int) -> Parts:
    return (Part("0", "1"),)


def _vision_mnasnet(layer: Layer, channels: int) -> Parts:
    return tuple(Part(f"layers.{i}", f"layers.{i + 1}") for i in (0, 3, 6))


def _vision_shuffle(layer: Layer, channels: int) -> Parts:
    passed = () if _keeps(layer, channels) else (Part("branch1.0", "branch1.1"), Part("branch1.2", "branch1.3"))
    return (*passed, *(Part(f"branch2.{i}", f"branch2.{i + 1}") for i in (0, 3, 5)))


def _vision_fire(layer: Layer, channels: int) -> Parts:
    return (Part("squeeze"), Part("expand1x1"), Part("expand3x3"))


def _side_by_side(names: tuple[str, ...], identity: str = "") -> Branches:
    convolutions = tuple(Part(f"{name}.conv", f"{name}.bn") for name in names)
    return Branches((*convolutions, Part("", identity)) if identity else convolutions)


def _timm_repvgg(layer: Layer, channels: int) -> Parts:
    return (_side_by_side(("conv_kxk", "conv_1x1"), "identity" if _keeps(layer, channels) else ""),)


def _timm_mobileone(layer: Layer, channels: int) -> Parts:
    numbers = range(_number(layer, "branches"))
    small = ("conv_scale",) if _number(layer, "kernel") > 1 else ()
    parts: list[Part | Branches] = []
    for unit, (kind, keeps) in enumerate(
        (("depthwise", layer.arg("stride") == 1), ("pointwise", layer.arg("out") == channels))
    ):
        names = (*(f"conv_kxk.{i}" for i in numbers), *(small if kind == "depthwise" else ()))
        parts.append(_side_by_side(tuple(f"{unit}|{name}" for name in names), f"{unit}|identity" if keeps else ""))
        parts += _gate(_number(layer, f"se_{kind}"), f"{unit}|attn.fc1", f"{unit}|attn.fc2")
    return tuple(parts)


def _timm_repvit(layer: Layer, channels: int) -> Parts:
    mixer = "token_mixer"
    branches = (Part(f"{mixer}.conv.c", f"{mixer}.conv.bn"), Part(f"{mixer}.conv1"), Part(""))
    gate = _gate(_number(layer, "se"), "se.fc1", "se.fc2")
    return (Branches(branches, f"{mixer}.bn"), *gate, *_timm_mixer("channel_mixer"))


def _timm_mixer(at: str) -> Parts:
    return tuple(Part(f"{at}.conv{i}.c", f"{at}.conv{i}.bn") for i in (1, 2))


def _timm_repvit_downsample(layer: Layer, channels: int) -> Parts:
    steps = tuple(Part(f"{kind}_downsample.c", f"{kind}_downsample.bn") for kind in ("spatial", "channel"))
    return (*steps, *_timm_mixer("ffn"))


def _timm_bottleneck(layer: Layer, channels: int) -> Parts:
    return tuple(Part(f"{name}.conv", f"{name}.bn") for name in ("conv1_1x1", "conv2_kxk", "conv3_1x1"))


def _timm_mobilevit(layer: Layer, channels: int) -> Parts:
    return (*_timm_transformer(layer, "qkv", "proj"), Part("conv_fusion.conv", "conv_fusion.bn"))


def _timm_mobilevitv2(layer: Layer, channels: int) -> Parts:
    return _timm_transformer(layer, "qkv_proj", "out_proj")


def _timm_transformer(layer: Layer, *attention: str) -> Parts:
    names = ("norm1", *(f"attn.{name}" for name in attention), "norm2", "mlp.fc1", "mlp.fc2")
    inner = (Part(f"transformer.{i}.{name}") for i in range(_number(layer, "layers")) for name in names)
    before = (Part("conv_kxk.conv", "conv_kxk.bn"), Part("conv_1x1"))
    return (*before, *inner, Part("norm"), Part("conv_proj.conv", "conv_proj.bn"))


def _timm_poolformer(layer: Layer, channels: int) -> Parts:
    return tuple(Part(name) for name in ("norm1", "layer_scale1", "norm2", "mlp.fc1", "mlp.fc2", "layer_scale2"))


def _timm_patches(layer: Layer, channels: int) -> Parts:
    return (Part("conv"),)


_STEM: Parts = (Part("conv_stem", "bn1"),)
_CLASSIFIER: Parts = (Part("classifier"),)
_NAMED_HEAD: Parts = (Part("head.fc"),)
_BLOCKS = r"blocks\.(\d+)\.(\d+)(?=\.)"
_STAGES = r"stages\.(\d+)\.(\d+)(?=\.)"
_FEATURES = r"features\.(\d+)(?=\.)"

FORMS = (
    Form(
        library="timm",
        families=("mobilenetv2", "mnasnet", "efficientnet", "efficientnet-lite", "fbnet"),
        modules=_BLOCKS,
        templates={"mbconv": _timm_mbconv, "fbnet": _timm_fbnet},
        first=(_STEM,),
        last=((Part("conv_head", "bn2"),), _CLASSIFIER),
    ),
    Form(
        library="timm",
        families=(
            "mobilenetv3-large",
            "mobilenetv3-small",
            "mobilenetv3-large-minimalistic",
            "mobilenetv3-small-minimalistic",
            "ghostnet",
        ),
        modules=_BLOCKS,
        templates={"mbconv": _timm_mbconv, "conv": _timm_conv, "ghostnet": _timm_ghost},
        first=(_STEM,),
        last=((Part("conv_head"), Part("classifier")),),
    ),
    Form(
        library="timm",
        families=("mobilenetv1",),
        modules=_BLOCKS,
        templates={"separable": _timm_separable},
        first=(_STEM,),
        last=(_CLASSIFIER,),
    ),
    Form(
        library="timm",
        families=("repvgg",),
        modules=_STAGES,
        templates={"repvgg": _timm_repvgg},
        first=((_side_by_side(("stem.conv_kxk", "stem.conv_1x1")),),),
        last=(_NAMED_HEAD,),
    ),
    Form(
        library="timm",
        families=("mobileone",),
        modules=_STAGES,
        templates={"mobileone": _timm_mobileone},
        first=((_side_by_side(("stem.conv_kxk.0", "stem.conv_scale")),),),
        last=(_NAMED_HEAD,),
        together=2,
    ),
    Form(
        library="timm",
        families=("repvit",),
        modules=r"stages\.(\d+)\.(?:downsample\.pre_block|downsample|blocks\.(\d+))(?=\.)",
        templates={"repvit": _timm_repvit, "repvit_downsample": _timm_repvit_downsample},
        first=(_timm_mixer("stem"),),
        last=((Part("head.head.l", "head.head.bn"),),),
        rank=lambda name: 0 if name.endswith("pre_block") else 1 if name.endswith("downsample") else 2,
    ),
    Form(
        library="timm",
        families=("mobilevit",),
        modules=_STAGES,
        templates={"mbconv": _timm_bottleneck, "mobilevit": _timm_mobilevit},
        first=((Part("stem.conv", "stem.bn"),),),
        last=((Part("final_conv.conv", "final_conv.bn"),), _NAMED_HEAD),
    ),
    Form(
        library="timm",
        families=("mobilevitv2",),
        modules=_STAGES,
        templates={"mbconv": _timm_bottleneck, "mobilevitv2": _timm_mobilevitv2},
        first=((Part("stem.conv", "stem.bn"),),),
        last=(_NAMED_HEAD,),
    ),
    Form(
        library="timm",
        families=("poolformer",),
        modules=r"stages\.(\d+)\.(?:downsample|blocks\.(\d+))(?=\.)",
        templates={"poolformer": _timm_poolformer, "patch_embedding": _timm_patches},
        first=((Part("stem.conv"),),),
        last=((Part("head.norm"), Part("head.fc")),),
        rank=lambda name: 0 if name.endswith("downsample") else 1,
    ),
    Form(
        library="torchvision",
        families=("mobilenetv2",),
        modules=_FEATURES,
        templates={"conv": _vision_conv, "mbconv": _vision_mbconv_v2},
        last=((Part("classifier.1"),),),
    ),
    Form(
        library="torchvision",
        families=("mobilenetv3-large", "mobilenetv3-small"),
        modules=_FEATURES,
        templates={"conv": _vision_conv, "mbconv": _vision_mbconv},
        last=((Part("classifier.0"), Part("classifier.3")),),
        epsilon=1e-3,
    ),
    Form(
        library="torchvision",
        families=("efficientnet",),
        modules=r"features\.(\d+)(?:\.(\d+)(?=\.block))?(?=\.)",
        templates={"conv": _vision_conv, "mbconv": _vision_mbconv},
        last=((Part("classifier.1"),),),
    ),
    Form(
        library="torchvision",
        families=("mnasnet",),
        modules=r"layers\.(\d+)\.(\d+)(?=\.)",
        templates={"mbconv": _vision_mnasnet},
        first=((Part("layers.0", "layers.1"),), (Part("layers.3", "layers.4"), Part("layers.6", "layers.7"))),
        last=((Part("layers.14", "layers.15"),), (Part("classifier.1"),)),
    ),
    Form(
        library="torchvision",
        families=("shufflenetv2",),
        modules=r"stage(\d+)\.(\d+)(?=\.)",
        templates={"shufflenetv2": _vision_shuffle},
        first=((Part("conv1.0", "conv1.1"),),),
        last=((Part("conv5.0", "conv5.1"),), (Part("fc"),)),
    ),
    Form(
        library="torchvision",
        families=("squeezenet",),
        modules=r"features\.(\d+)(?=\.squeeze|\.expand)",
        templates={"fire": _vision_fire},
        first=((Part("features.0"),),),
        last=((Part("classifier.1"),),),
    ),
)
"""Every form that is known: the two libraries hold no other family of the known networks."""
