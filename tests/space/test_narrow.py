"""Parts of a space by settings: what is kept, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from nas.errors import InputError
from nas.space.narrow import narrow
from nas.space.search_space import SearchSpace
from tests.space.examples import space_of

TEXT = """
schema: 1
name: wide
resolution: [64, [64, 96], 128]
stems:
- [{block: conv, out: 32, stride: 2, act: hswish}]
- [{block: mobileone_stem, out: 32}]
kinds:
  mbconv:
    block: {block: mbconv, out: width, hidden: expansion*in, kernel: kernel, stride: stride, act: act, se: se*in/4}
  separable: {block: {block: separable, out: width, stride: stride, act: hswish}}
stages:
- {depth: [0, 1], width: [32], kernel: [3], expansion: [1, 2], act: [relu, hswish]}
- {stride: 2, depth: [1, 2], width: [64, 96], kernel: [3, 5], expansion: [2, 4], se: [none, all],
   act: [relu, hswish, gelu]}
heads:
- [{block: head}]
- [{block: head, hidden: 64, act: hswish}]
"""


@pytest.fixture(scope="module")
def wide() -> SearchSpace:
    return space_of(TEXT)


def test_an_activation_is_kept_everywhere(wide: SearchSpace) -> None:
    """Stems, heads and kinds with another one are no choices any more: no network of the part has it."""
    part = narrow(wide, ["act=relu"])
    assert (len(part.stems), len(part.heads)) == (1, 1)
    assert [stage.kinds for stage in part.stages] == [("mbconv",), ("mbconv",)]
    networks = part.sample(50, np.random.default_rng(0))
    found = {dict(layer.args).get("act", "none") for network in networks for layer in network.layers}
    assert found <= {"none", "relu"}


def test_settings_for_all_stages_for_one_and_for_the_image(wide: SearchSpace) -> None:
    part = narrow(wide, ["expansion=2", "stage2.kernel=5", "resolution=64x96,128", "se=none", "stage2.width = 96"])
    assert [stage.expansion for stage in part.stages] == [(2.0,), (2.0,)]
    assert [stage.kernel for stage in part.stages] == [(3,), (5,)]
    assert part.resolutions == ((64, 96), 128)
    assert part.stages[1].se == ("none",)
    assert part.stages[1].width == (96,)
    assert part.size < wide.size


def test_the_divisor_is_that_of_what_is_left(wide: SearchSpace) -> None:
    # Widths 32, 64 and 96; without the first stage and 96 they are 64, and twice 32 (of the stem) and twice 64.
    assert wide.divisor == 32
    part = narrow(wide, ["stage2.width=64", "stage1.depth=0", "expansion=2"])
    assert [stage.name for stage in part.stages] == ["stage2"]
    assert part.divisor == 64
    assert {dict(layer.args).get("out") for layer in part.sample(1, np.random.default_rng(0))[0].layers} >= {64}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("kernal=3", "must name a gene, but got 'kernal' (nearest: kernel"),
        ("stage3.kernel=3", "must name a stage of wide, but got 'stage3'"),
        ("act=relu7", "must name choices of act in wide, but got 'relu7' (nearest: relu"),
        ("stage1.kernel=5", "must name choices of kernel in wide, but got '5'"),
        ("kernel=5", "must leave a choice for kernel of stage1, which has 3"),
        ("resolution=65", "must leave a choice for the resolutions of wide, which has 64, 64x96, 128"),
        ("stage1.act=relu=3", "but got 'relu=3'"),
        ("relu", "must be written as act=relu or stage3.kernel=3,5, but got 'relu'"),
        ("act=gelu", "must leave a choice for act of stage1"),
    ],
)
def test_what_names_no_choice_is_refused(wide: SearchSpace, setting: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        narrow(wide, [setting])
    assert words in str(caught.value)
