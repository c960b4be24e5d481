from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from nas.errors import InputError
from nas.space.reading import MAX_CHOICES, read_search_space
from tests.space.examples import EARLY, TINY, space_of

STAGE = "- {stride: 2, depth: [1, 3], width: [16], kernel: [3, 5], expansion: [1, 2], se: [none, late], free_blocks: 2}"
BLOCK = "hidden: expansion*in, kernel: kernel, stride: stride, act: act, se: se*hidden/4}"
MANY = ", ".join(map(str, range(1, MAX_CHOICES + 2)))

# Nine values, then eight times nine of what came before.
BOMB = b"a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
for _i in range(97, 105):
    BOMB += b"%c: &%c [%s]\n" % (_i + 1, _i + 1, b", ".join([b"*%c" % _i] * 9))

# What is replaced in TINY, by what, and the words of the refusal.
FAULTS = {
    "unknown key": ("name: tiny", "nmae: tiny", "keys must be known, but got 'nmae'; did you mean 'name'?"),
    "missing key": ("name: tiny\n", "", "the key 'name' must be given, but is missing."),
    "schema": ("schema: 1", "schema: 2", "schema must be 1, but got 2; convert the file."),
    "description": ("name: tiny", "name: tiny\ndescription: 3", "description must be a text, but got 3."),
    "classes": (
        "name: tiny",
        "name: tiny\nnum_classes: 1",
        "num_classes must be an integer from 2 to 1000000, but got 1.",
    ),
    "channels": ("name: tiny", "name: tiny\nin_channels: 2", "in_channels must be one of 1, 3, 4, but got 2."),
    "resolution": ("[32]", "[32, 31]", "resolution must hold integers from 32 to 4096, or [height, width] of such"),
    "rectangle": ("[32]", "[[32, 20]]", "or [height, width] of such, but got [32, 20]."),
    "no rectangle": ("[32]", "[[32, 64, 96]]", "or [height, width] of such, but got [32, 64, 96]."),
    "square twice": (
        "[32]",
        "[32, [32, 32]]",
        "resolution must be a list of different choices, but got [32, 32] twice.",
    ),
    "resolution twice": ("[32]", "[32, 32]", "resolution must be a list of different choices, but got 32 twice."),
    "no resolution": ("[32]", "32", "resolution must be a list with at least one entry, but got 32."),
    "no stems": (
        "[[{block: conv, out: 8, stride: 2}]]",
        "[]",
        "stems must be a list with at least one entry, but got [].",
    ),
    "stem no chain": (
        "[[{block: conv, out: 8, stride: 2}]]",
        "[{block: conv, out: 8}]",
        "stems[0] must be a list of layers, but got {'block': 'conv', 'out': 8}.",
    ),
    "stem no layer": (
        "[[{block: conv, out: 8, stride: 2}]]",
        "[[conv]]",
        "stems[0][0] must be a mapping with the key block, but got 'conv'.",
    ),
    "stem twice": (
        "out: 8,",
        "out: [8, 8],",
        "stems[0] must differ from all others in stems, but one chain is there twice.",
    ),
    "stem of no width": ("out: 8,", "out: [],", "stems[0] must stand for 1 to 64 chains, but its lists give 0."),
    "too many stems": ("out: 8,", f"out: [{MANY}],", "stems[0] must stand for 1 to 64 chains, but its lists give 65."),
    "stem with a name": ("out: 8,", "out: 2*width,", "stems[0][0]: out: names must be of stride here, but got 'width'"),
    "stem stride 8": (
        "[[{block: conv, out: 8, stride: 2}]]",
        "[[{block: conv, out: 8, stride: 2}, {block: repvit_stem, out: 8, middle: 8}]]",
        "stems, choice 1 must keep the size of an image or reduce it 2 or 4 times, but makes 8x4x4",
    ),
    "stem classifier": (
        "{block: conv, out: 8, stride: 2}",
        "{block: head}",
        "must keep the size of an image or reduce it 2 or 4 times, but makes 1000",
    ),
    "stem parameter": ("out: 8,", "out: 8, kernel: 4,", "block conv: kernel must be odd and at least 1, but got 4."),
    "stem block": (
        "block: conv, out: 8",
        "block: cnov, out: 8",
        "block must be a known one, but got 'cnov' (nearest: conv",
    ),
    "no kinds": ("kinds:\n", "unused:\n", "keys must be known, but got 'unused'"),
    "kind key": (
        "    block: {block: mbconv",
        "    blok: {block: mbconv",
        "kinds.mbconv: keys must be known, but got 'blok'",
    ),
    "kind block": (
        "block: mbconv,",
        "block: mbcnov,",
        "kinds.mbconv.block, stage2: block must be a known one, but got 'mbcnov'",
    ),
    "block parameter": (
        BLOCK,
        BLOCK.replace("kernel: kernel", "kernal: kernel"),
        "kinds.mbconv.block, stage2: 'kernal' must be a parameter of block mbconv",
    ),
    "parameter missing": (BLOCK, "kernel: kernel}", "kinds.mbconv.block, stage2, block mbconv: hidden must be given"),
    "a name misspelt": (
        BLOCK,
        BLOCK.replace("kernel: kernel", "kernel: kernl"),
        "kernel must be a number, a name or a product of them, but got 'kernl'.",
    ),
    "a factor misspelt": (
        BLOCK,
        BLOCK.replace("expansion*in", "expnasion*in"),
        "kinds.mbconv.block: hidden: names must be of in,",
    ),
    "rounding": (BLOCK, BLOCK.replace("hidden/4", "hidden/4:up"), "kinds.mbconv.block: se: a rounding must be one of"),
    "gate": (
        BLOCK,
        BLOCK.replace("se: ", "se_gate: relu, se: "),
        "se_gate must be one of sigmoid, hsigmoid, but got 'relu'.",
    ),
    "kernel for a width": (
        BLOCK,
        BLOCK.replace("kernel: kernel", "kernel: act"),
        "kernel must be int, but got 'relu'.",
    ),
    "no width": (
        "out: width, hidden",
        "out: 24, hidden",
        "must leave the stage's width at its size (16x8x8), but leaves 24x8x8;",
    ),
    "no stride": (
        "stride: stride, act",
        "act",
        "must leave the stage's width at its size (16x8x8), but leaves 16x16x16;",
    ),
    "no map": (
        "{block: separable, out: width, stride: stride}",
        "{block: head}",
        "must leave a map, but leaves 1 axes",
    ),
    "no stages": (
        TINY[TINY.index("stages:") : TINY.index("heads:")],
        "stages: []\n",
        "stages must be a list with at least one",
    ),
    "stage key": (
        "free_blocks: 2}",
        "free_block: 2}",
        "stages[1]: keys must be known, but got 'free_block'; did you mean 'free_blocks'?",
    ),
    "stage no mapping": (STAGE, "- 3", "stages[1] must be a mapping with the keys stride,"),
    "unknown kind": (
        "kinds: [separable]",
        "kinds: [seperable]",
        "stages[0]: kinds must hold names of kinds (mbconv, separable), but got 'seperable'.",
    ),
    "kind no name": (
        "kinds: [separable]",
        "kinds: [[a]]",
        "stages[0]: kinds must hold names of kinds (mbconv, separable), but got ['a'].",
    ),
    "activation": (
        "act: [relu, hswish]",
        "act: [relu, hwish]",
        "stages[0]: act must hold activations (none, relu, relu6,",
    ),
    "activation no text": ("act: [relu, hswish]", "act: [[3]]", "stages[0]: act must hold activations"),
    "no activation for a width": (
        BLOCK,
        BLOCK.replace("se: se*hidden/4", "se_gate: act"),
        "block mbconv: se_gate must be one of sigmoid, hsigmoid, but got 'relu'.",
    ),
    "SE pattern": (
        "se: [none, all]",
        "se: [none, some]",
        "stages[0]: se must hold patterns (none, all, alternate, late), but got 'some'.",
    ),
    "kernel even": ("kernel: [3, 5]", "kernel: [3, 4]", "stages[1]: kernel must hold odd integers, but got 4."),
    "kernel twice": (
        "kernel: [3, 5]",
        "kernel: [3, 5, 3]",
        "stages[1]: kernel must be a list of different choices, but got 3 twice.",
    ),
    "expansion twice": (
        "expansion: [1, 2]",
        "expansion: [1, 2, 1.0]",
        "stages[1]: expansion must be a list of different choices, but got 1.0 twice.",
    ),
    "expansion": (
        "expansion: [1, 2]",
        "expansion: [0]",
        "stages[1]: expansion must hold numbers above 0, at most 64, but got 0.",
    ),
    "expansion NaN": (
        "expansion: [1, 2]",
        "expansion: [.nan]",
        "a number must be finite, and at most 1e30, but got .nan.",
    ),
    "width": ("width: [16]", "width: [16, -8]", "stages[1]: width must hold integers from 1 to 65536, but got -8."),
    "width no number": (
        "width: [16]",
        "width: [wide]",
        "stages[1]: width must hold integers from 1 to 65536, but got 'wide'.",
    ),
    "width true": (
        "width: [16]",
        "width: [true]",
        "stages[1]: width must hold integers from 1 to 65536, but got True.",
    ),
    "too many": ("width: [16]", f"width: [{MANY}]", "stages[1]: width must have at most 64 entries, but has 65."),
    "depth": ("depth: [1, 3]", "depth: [1.5]", "stages[1]: depth must hold integers from 0 to 64, but got 1.5."),
    "too deep": (
        "depth: [1, 3]",
        "depth: [1, 100000]",
        "stages[1]: depth must hold integers from 0 to 64, but got 100000.",
    ),
    "never there": (
        "depth: [0, 1]",
        "depth: [0]",
        "stages[0]: depth must have a choice above 0, but the stage is always absent",
    ),
    "absent but strided": (
        "depth: [1, 3]",
        "depth: [0, 3]",
        "stages[1]: depth must be at least 1 where stride is 2, but got 0",
    ),
    "stride": ("stride: 2, depth", "stride: 3, depth", "stages[1]: stride must be an integer from 1 to 2, but got 3."),
    "never strided": ("stride: 2, depth", "depth", "stages must hold at least one with stride 2, but none has."),
    "too small": (
        STAGE,
        "\n".join([STAGE] * 5),
        "stem and stages must reduce the size at most 32 times, but do more often.",
    ),
    "free blocks": (
        "free_blocks: 2}",
        "free_blocks: 0}",
        "stages[1]: free_blocks must be an integer from 1 to 64, but got 0.",
    ),
    "no heads": (
        "[[{block: head, hidden: [0, 16]}]]",
        "[]",
        "heads must be a list with at least one entry, but got [].",
    ),
    "head without one": (
        "[[{block: head, hidden: [0, 16]}]]",
        "[[{block: conv, out: 8}]]",
        "heads, choice 1 must end with a classifier, but ends with conv; append {block: head}.",
    ),
    "head in the middle": (
        "[[{block: head, hidden: [0, 16]}]]",
        "[[{block: head}, {block: head}]]",
        "heads, choice 1 on 16 channels: head must fit",
    ),
    "tag": ("name: tiny", "name: !!python/name:os.system tiny", "line 3: tags are not allowed"),
    "second document": ("heads:", "---\nheads:", "there must be one document"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refused_when_the_space_is_read(fault: str, tmp_path: Path) -> None:
    old, new, words = FAULTS[fault]
    assert TINY.count(old) >= 1
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY.replace(old, new, 1))
    with pytest.raises(InputError) as refusal:
        read_search_space(path)
    text = str(refusal.value)
    assert text.startswith(str(path))
    assert words in text
    assert "\n" not in text and "\x00" not in text


def test_groups_that_do_not_divide_a_width_are_refused() -> None:
    text = TINY.replace("{block: separable, out: width, stride: stride}", "{block: espnetv2_expand, out: width}")
    text = text.replace("{stride: 2, ", "{stride: 2, kinds: [mbconv], ")
    space_of(text)
    with pytest.raises(InputError, match=r"kinds.separable.block, stage1: espnetv2_expand must fit.*8 -> 18, groups=4"):
        space_of(text.replace("width: [8, 16]", "width: [8, 18]"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "must hold a mapping of keys to values, but is empty."),
        (b"# nothing\n", "must hold a mapping of keys to values, but is empty."),
        (b"- 1\n- 2\n", "must hold a mapping of keys to values, but holds a list."),
        (b"schema: [1\n", "must be valid YAML"),
        (bytes(range(128, 256)), "must be a YAML file in UTF-8"),
        (np.random.default_rng(0).integers(0, 128, 400, dtype=np.uint8).tobytes(), "must be valid YAML"),
        (BOMB, "a document must hold at most 100000 values"),
        (b"schema: 1\nschema: 1\n", "a key must be given once"),
        (b"x: " + b"[" * 100 + b"]" * 100, "nesting must be at most 40 deep"),
    ],
    ids=["empty", "comment", "list", "open", "binary", "random", "alias bomb", "twice", "deep"],
)  # fmt: skip
def test_what_is_no_document_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(words)) as refusal:
        read_search_space(path)
    assert str(refusal.value).startswith(str(path))


def test_a_space_of_too_many_layers_is_refused() -> None:
    widths = ", ".join(str(8 * i) for i in range(1, MAX_CHOICES + 1))
    text = TINY.replace("width: [8, 16]", f"width: [{widths}]").replace("width: [16]", f"width: [{widths}]")
    text = text.replace("[1, 2]", str(list(range(1, MAX_CHOICES + 1)))).replace("[32]", "[32, 64, 96, 128, 160]")
    # Stage 2 alone: 5 resolutions x 64 widths before x 64 widths x 64 expansions x 2 kernels x 2 SE flags.
    with pytest.raises(
        InputError, match=r"at most 2,000,000 different layers, but have 5,\d{3},\d{3}; leave out widths"
    ):
        space_of(text)


def test_a_list_in_a_layer_is_one_chain_a_choice() -> None:
    stems = space_of(EARLY).stems
    assert [[(layer.block, layer.arg("out")) for layer in stem] for stem in stems] == [
        [("conv", 16)], [("conv", 20)], [("repvit_stem", 16)], [("repvit_stem", 24)], [("conv", 12), ("separable", 16)],
    ]  # fmt: skip
    assert [stem[0].arg("middle") for stem in stems[2:4]] == [8, 12]


def test_what_is_left_out_has_defaults() -> None:
    space = space_of(TINY)
    assert (space.num_classes, space.description) == (1000, "")
    first, second = space.stages
    assert (first.stride, first.kernel, first.expansion, first.free_blocks) == (1, (3,), (1.0,), 4)
    assert (second.kinds, second.act) == (("mbconv", "separable"), ("relu",))
