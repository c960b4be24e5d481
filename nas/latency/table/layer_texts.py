"""How other tools write a layer as text, and the segment that it is here.

Three forms of texts are known; maps are height x width x channels, and what a text does not say is the form's own:

* once-for-all (github mit-han-lab/once-for-all, latency_lookup_table.py, `MBv3LatencyTable`). `expanded_conv`: an
  inverted residual; `expand` is its inner width, `hs` says hard swish (else ReLU), `se` squeeze-and-excitation to a
  quarter of the inner width (rounded to multiples of 8, hard-sigmoid gate). `Conv`: the stem, 3x3; `Conv_1`: the last
  1x1 convolution; `AvgPool2D`, `Conv_2`, `Logits`: the head; all with hard swish.
* ProxylessNAS (github mit-han-lab/proxylessnas, latency_estimator.py): `expand` is the ratio of the inner width to the
  input's channels; no SE, ReLU6 everywhere; `Logits` is all behind `Conv_1`. In CSV a block's text is
  HxWxC-HxWxC-expand:R-kernel:N-stride:N.
* NSGANetV2: `MBConv`, with `expand` a ratio and SE as above. Its texts do not say which blocks have hard swish (of
  MobileNetV3 the later stages), so whoever imports it says so. Stem and head are as once-for-all's.

`idskip` says that there is a skip connection: where stride is 1 and the widths agree, as in our block.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from nas.blocks.registry import Value
from nas.blocks.rounding import make_divisible
from nas.errors import InputError
from nas.graph.rows import Shape
from nas.space.architecture import build_layer, make_layer

_MAX_RATIO = 16.0
"""An `expand` beyond it is no ratio but a width."""

_NUMBER = "([1-9][0-9]{0,4})"
_MAP = f"{_NUMBER}x{_NUMBER}x{_NUMBER}"
_PLAIN = re.compile(f"(Conv|Conv_1|Conv_2|AvgPool2D)-input:{_MAP}-output:{_MAP}")
_LOGITS = re.compile(f"(Logits)-input:{_MAP}-output:{_NUMBER}")
_EXPAND = r"([1-9][0-9]{0,4}(?:\.[0-9]{1,6})?)"
_BLOCK = re.compile(
    f"(?:(?P<kind>expanded_conv|MBConv)-input:{_MAP}-output:{_MAP}|{_MAP}-{_MAP})-expand:(?P<expand>{_EXPAND})"
    f"-kernel:(?P<kernel>{_NUMBER})-stride:(?P<stride>{_NUMBER})"
    "(?:-idskip:(?P<idskip>[01]))?(?:-se:(?P<se>[01]))?(?:-hs:(?P<hs>[01]))?"
)
_SIZES = re.compile(_MAP)

_BLOCK_TEXT = "-input:HxWxC-output:HxWxC-expand:N-kernel:N-stride:N-idskip:B"
_TEXTS = {
    f"expanded_conv{_BLOCK_TEXT}-se:B-hs:B": "once-for-all",
    f"expanded_conv{_BLOCK_TEXT}": "ProxylessNAS",
    "HxWxC-HxWxC-expand:N-kernel:N-stride:N": "ProxylessNAS, CSV",
    f"MBConv{_BLOCK_TEXT}-se:B": "NSGANetV2",
    **{f"{name}-input:HxWxC-output:HxWxC": "all tools" for name in ("Conv", "Conv_1", "Conv_2", "AvgPool2D")},
    "Logits-input:HxWxC-output:N": "all tools",
}
"""The texts that are known, and whose they are."""


class Form(NamedTuple):
    """What the texts of one tool leave to know: the activation of blocks without `hs` (None: not known), and of the
    plain layers."""

    name: str
    block_act: str | None
    plain_act: str


OFA = Form("once-for-all", None, "hswish")
PROXYLESS = Form("ProxylessNAS", "relu6", "relu6")
NSGANET = Form("NSGANetV2", None, "hswish")


class PlainText(NamedTuple):
    """A stem, a last convolution, or a part of the head: `name` is Conv, Conv_1, AvgPool2D, Conv_2 or Logits."""

    name: str
    input: Shape
    output: Shape


class BlockText(NamedTuple):
    """An inverted residual; `act` is None where the text does not say it."""

    form: Form
    input: Shape
    output: Shape
    hidden: int
    kernel: int
    stride: int
    se: bool
    act: str | None


def parse_plain(text: str) -> PlainText | None:
    """The plain layer that `text` is; None for any other text."""
    match = _PLAIN.fullmatch(text) or _LOGITS.fullmatch(text)
    if match is None:
        return None
    numbers = [int(number) for number in match.groups()[1:]]
    output = _shape(numbers[3:]) if len(numbers) == 6 else (numbers[3],)
    return PlainText(match[1], _shape(numbers[:3]), output)


def parse_block(text: str) -> BlockText | None:
    """The block that `text` is; None for any other text. Raises `ValueError` for a block that is none of ours."""
    match = _BLOCK.fullmatch(text)
    if match is None:
        return None
    before, after = (_shape(map(int, sizes)) for sizes in _SIZES.findall(text)[:2])
    form, se, swish = _form(match), match["se"], match["hs"]
    stride, skips = int(match["stride"]), match["idskip"]
    if skips is not None and (skips == "1") != (stride == 1 and before[0] == after[0]):
        raise ValueError(
            f"idskip must be 1 where stride is 1 and the widths agree, and 0 elsewhere, but got {skips}; no block here"
            " is like that"
        )
    act = form.block_act if swish is None else "hswish" if swish == "1" else "relu"
    hidden = _hidden(match["expand"], before[0], form)
    return BlockText(form, before, after, hidden, int(match["kernel"]), stride, se == "1", act)


def _form(match: re.Match[str]) -> Form:
    """Whose text a block's is. Raises `ValueError` for one that is half of two."""
    if match["kind"] == "MBConv":
        return NSGANET
    if (match["se"] is None) != (match["hs"] is None) or (match["kind"] is None and match["se"] is not None):
        raise ValueError(
            f"it must say both se and hs, as once-for-all's, or neither; nearest: {nearest_text(match[0])}"
        )
    return PROXYLESS if match["se"] is None else OFA


def _hidden(expand: str, inputs: int, form: Form) -> int:
    """The inner width that `expand` stands for."""
    value = float(expand)
    if form is OFA:
        if value < inputs or value != int(value):
            raise ValueError(
                f"expand must be the inner width, at least the input's {inputs} channels, as once-for-all has it where"
                f" a text says se and hs, but got {expand}; a ratio?"
            )
        return int(value)
    if value > _MAX_RATIO:
        raise ValueError(
            f"expand must be the ratio of the inner width to the input's channels, at most {_MAX_RATIO:g}, as"
            f" {form.name} has it, but got {expand}; a width?"
        )
    return round(inputs * value)


def _shape(numbers: Iterable[int]) -> Shape:
    """Height, width, channels as (channels, height, width)."""
    height, width, channels = numbers
    return channels, height, width


def block_segment(block: BlockText, act: str) -> str:
    """The key of a block's segment. Raises `ValueError` where it is no layer that fits its input."""
    args: dict[str, Value] = {
        "out": block.output[0],
        "hidden": block.hidden,
        "kernel": block.kernel,
        "stride": block.stride,
        "act": act,
        "se": make_divisible(block.hidden // 4) if block.se else 0,
    }
    return _segment("mbconv", args, block.input, block.output)


def convolution_segment(part: PlainText, act: str) -> str:
    """The key of a stem (3x3) or of a last convolution (1x1). Raises as `block_segment`."""
    kernel = 3 if part.name == "Conv" else 1
    stride = 2 if part.output[1] < part.input[1] else 1
    args: dict[str, Value] = {"out": part.output[0], "kernel": kernel, "stride": stride, "act": act}
    return _segment("conv", args, part.input, part.output)


def head_segment(parts: Sequence[PlainText], act: str) -> str:
    """The key of a head: pooling and a classifier, perhaps with a layer between; each fits the one before it."""
    args: dict[str, Value] = {}
    if len(parts) == 3:
        args = {"hidden": parts[1].output[0], "act": act}
    classes = parts[-1].output
    return _segment("head", args, parts[0].input, classes, num_classes=classes[0])


def _segment(block: str, args: Mapping[str, Value], before: Shape, after: Shape, *, num_classes: int = 1000) -> str:
    """The key of the segment that `block` is on a map of shape `before`; its result must be of shape `after`."""
    try:
        found = build_layer(make_layer(block, args, "a layer here"), before, num_classes)
    except InputError as error:
        raise ValueError(str(error).rstrip(".")) from error
    if found.output != after:
        raise ValueError(f"output must be {_text(found.output)}, as the layer gives, but got {_text(after)}")
    return found.segment.key


def _text(shape: Shape) -> str:
    """A shape as the files have it: channels last."""
    return "x".join(map(str, (*shape[1:], shape[0])))


def nearest_text(text: str) -> str:
    """The known form of text that is most like `text`, and whose it is."""

    def bare(form: str) -> str:
        return re.sub(r"(?<!_)[0-9]+(\.[0-9]+)?|(?<![A-Za-z_])[HWCNB](?![A-Za-z_])", "#", form).lower()

    words = {bare(form): form for form in _TEXTS}
    best = max(words, key=lambda form: difflib.SequenceMatcher(None, bare(text), form, autojunk=False).ratio())
    return f"{words[best]} ({_TEXTS[words[best]]})"
