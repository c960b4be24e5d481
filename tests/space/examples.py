"""Small search spaces, each with something that the shipped one does not have."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from nas.documents import parse_yaml
from nas.space import Codes, SearchSpace
from nas.space.reading import parse_search_space

# 1 resolution, 1 stem, 2 heads. Stage 1 may be absent and uses neither act nor se; stage 2 has two blocks of its own
# among up to three; its patterns all/late/alternate agree with others at some depths.
TINY = """
schema: 1
name: tiny
resolution: [32]
stems: [[{block: conv, out: 8, stride: 2}]]
kinds:
  mbconv:
    block: {block: mbconv, out: width, hidden: expansion*in, kernel: kernel, stride: stride, act: act, se: se*hidden/4}
  separable: {block: {block: separable, out: width, stride: stride}}
stages:
- {kinds: [separable], depth: [0, 1], width: [8, 16], act: [relu, hswish], se: [none, all]}
- {stride: 2, depth: [1, 3], width: [16], kernel: [3, 5], expansion: [1, 2], se: [none, late], free_blocks: 2}
heads: [[{block: head, hidden: [0, 16]}]]
"""

# Stems of stride 2 and 4 behind which stages begin at two sizes, before the first down-sampling too; transitions that
# read the first block's genes and that also come at stride 1; blocks beyond the free ones; widths that are no multiples
# of 8; a kernel larger than the last map.
EARLY = """
schema: 1
name: early
num_classes: 10
resolution: [64, 96]
stems:
- [{block: conv, out: [16, 20], stride: 2, act: hswish}]
- [{block: repvit_stem, out: [16, 24], middle: "out/2:floor"}]
- [{block: conv, out: 12, stride: 2}, {block: separable, out: 16, stride: 2}]
kinds:
  mbconv:
    block:
      {block: mbconv, out: width, hidden: expansion*in, kernel: kernel, stride: stride, act: act, se: "se*in/4:floor"}
  repvit:
    transition:
      {block: repvit_downsample, out: width, hidden: expansion*out, kernel: kernel, stride: stride, act: act,
       se: se*in/4}
    block: {block: repvit, hidden: expansion*in, kernel: kernel, act: act, se: "se*in/4:divisible8_plain"}
  shuffle:
    transition: {block: conv, out: width, kernel: 1, stride: stride, act: act}
    block: {block: shufflenetv2, out: width, kernel: kernel, act: act}
stages:
- {depth: [0, 1, 3], width: [16, 20], kernel: [3, 5], expansion: [1, 1.5], se: [none, all], act: [relu, gelu],
   free_blocks: 2}
- {stride: 2, depth: [1, 2, 5], width: [24, 28], kernel: [3], expansion: [2, 3], se: [alternate, late, all],
   free_blocks: 1}
- {kinds: [mbconv, repvit], depth: [0, 2, 3], width: [24, 32], kernel: [3, 7], se: [none, late], act: [hswish, relu]}
- {stride: 2, kinds: [repvit, shuffle], depth: [1, 4], width: [32, 48], kernel: [5], expansion: [2], act: [silu]}
heads:
- [{block: head}]
- [{block: conv, kernel: 1, out: [40, 64], act: hswish}, {block: head, hidden: 24, act: relu}]
"""


# Stems that keep the size or reduce it 2 or 4 times: behind the first one all maps are larger, the head's too, whose
# 1x1 convolution and pool read them.
LATE = """
schema: 1
name: late
num_classes: 10
resolution: [32, 48]
stems:
- [{block: conv, out: [8, 16], stride: [1, 2]}]
- [{block: repvit_stem, out: 16, middle: 8}]
kinds:
  mbconv: {block: {block: mbconv, out: width, hidden: expansion*in, kernel: kernel, stride: stride}}
  repvit:
    transition: {block: repvit_downsample, out: width, hidden: 2*out, stride: stride}
    block: {block: repvit, hidden: 2*in, kernel: kernel}
stages:
- {depth: [0, 1], width: [8, 16], expansion: [1, 2]}
- {stride: 2, depth: [1, 2], width: [16], kernel: [3, 5], free_blocks: 1}
- {stride: 2, kinds: [mbconv], depth: [1], width: [24], expansion: [2]}
heads:
- [{block: head}]
- [{block: conv, kernel: 1, out: 32}, {block: head}]
"""


# Another number of classes and of channels; a rectangle; a classifier that is a convolution.
ENDS = """
schema: 1
name: ends
num_classes: 10
in_channels: 4
resolution: [64, [64, 96]]
stems:
- [{block: conv, out: 16, stride: 2}]
- [{block: mobileone, out: 24, stride: 2}, {block: conv, out: 24, stride: 2}]
kinds:
  mbconv: {block: {block: mbconv, out: width, hidden: expansion*in, kernel: kernel, stride: stride, se: se*in/4}}
stages:
- {depth: [0, 1], width: [16, 24], expansion: [1, 2], se: [none, all]}
- {stride: 2, depth: [1, 2], width: [32], kernel: [3, 7], expansion: [2, 4]}
heads:
- [{block: head, hidden: [0, 40], act: hswish}]
- [{block: squeezenet_head}]
"""


def space_of(text: str) -> SearchSpace:
    """The space that a document states."""
    return parse_search_space(parse_yaml(text, name="example.yaml"), "example.yaml")


class UncanonicalSpace(SearchSpace):
    """The same space, decoding every code as it is: the second opinion on what canonical codes leave out."""

    @classmethod
    def of(cls, space: SearchSpace) -> UncanonicalSpace:
        return cls(**{field.name: getattr(space, field.name) for field in fields(SearchSpace)})

    def canonical(self, codes: Codes) -> Codes:
        return np.array(codes, dtype=np.int64)


def all_codes(space: SearchSpace) -> Codes:
    """Every combination of choices, shape (product of cardinalities, genes)."""
    grid = np.indices(tuple(space.cardinalities))
    return grid.reshape(len(space.cardinalities), -1).T
