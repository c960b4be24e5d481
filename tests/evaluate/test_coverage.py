"""What a table covers of a space, beside a plain look at every network."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import nas
from nas.documents import parse_yaml
from nas.evaluate import Limits, Models, SpaceProblem, space_coverage
from nas.evaluate.coverage import lacking_text
from nas.space.reading import parse_search_space
from nas.space.search_space import SearchSpace
from tests.evaluate.tables import all_codes, keys_of, rows_alone
from tests.space.examples import TINY

# Stems of both strides, a stage that may be absent, kinds of which one has a transition and one uses no expansion.
MIXED = """
schema: 1
name: mixed
num_classes: 10
resolution: [32, 64]
stems:
- [{block: conv, out: [8, 16], stride: 2}]
- [{block: repvit_stem, out: 16, middle: 8}]
kinds:
  mbconv: {block: {block: mbconv, out: width, hidden: expansion*in, kernel: kernel, stride: stride, act: act}}
  repvit:
    transition: {block: repvit_downsample, out: width, hidden: 2*out, stride: stride, act: act}
    block: {block: repvit, hidden: 2*in, kernel: kernel, act: act, se: se*in/4}
stages:
- {kinds: [mbconv], depth: [0, 1], width: [8, 24]}
- {stride: 2, depth: [1, 3], width: [24], kernel: [3, 5], expansion: [1, 2], se: [none, late], free_blocks: 2}
heads: [[{block: head}]]
"""

# Stems that keep the size or halve it, so that stages and heads meet maps of two sizes.
SIZES = """
schema: 1
name: sizes
num_classes: 10
resolution: [32]
stems: [[{block: conv, out: [8, 16], stride: [1, 2]}]]
kinds:
  mbconv: {block: {block: mbconv, out: width, hidden: expansion*in, kernel: kernel, stride: stride}}
stages:
- {depth: [0, 1], width: [8]}
- {stride: 2, depth: [1, 2], width: [16, 24], kernel: [3, 5], expansion: [1, 2], free_blocks: 1}
heads: [[{block: head, hidden: [0, 16]}]]
"""


@cache
def models(share: float, seed: int, name: str) -> tuple[SearchSpace, Models]:
    """A space, and a table with about a `share` of its layers."""
    space = space_of(name)
    keys = keys_of(space.decode(code) for code in all_codes(space))
    kept = np.random.default_rng(seed).random(len(keys)) < share
    latency = rows_alone({key: 1.0 for key, keeps in zip(keys, kept, strict=True) if keeps})
    return space, Models(latency, nas.load_accuracy("imagenet"), Limits())


@cache
def space_of(name: str) -> SearchSpace:
    return parse_search_space(parse_yaml({"tiny": TINY, "mixed": MIXED, "sizes": SIZES}[name], name=name), name)


@pytest.mark.parametrize("name", ["tiny", "mixed", "sizes"])
@pytest.mark.parametrize(("share", "seed"), [(0.6, 0), (0.8, 1), (0.9, 2), (0.97, 3)])
def test_what_is_closed_is_what_no_covered_network_has(name: str, share: float, seed: int) -> None:
    space, both = models(share, seed, name)
    found = space_coverage(both.compile(space))
    has = both.latency.rows.keys()
    used: dict[str, set[object]] = {gene: set() for gene in space.genes}
    keys, empty = set(), True
    for code in all_codes(space):
        network = space.decode(code)
        own = {segment.key for segment in network.segments()}
        keys |= own
        if not own <= has:
            continue
        empty = False
        # Idle genes are 0 in a canonical code: nobody chose them. A gene counts where another choice changes the code.
        for column, gene in enumerate(space.genes):
            others = np.repeat(code[None], len(space.genes[gene]), axis=0)
            others[:, column] = np.arange(len(others))
            if len(np.unique(space.canonical(others), axis=0)) > 1:
                used[gene].add(space.genes[gene][code[column]])
    expected = {
        gene: tuple(choice for choice in choices if choice not in used[gene])
        for gene, choices in space.genes.items()
        if len(choices) > 1 and gene not in _never_used(space)
    }
    patterns = {gene for gene in expected if gene.endswith(".se")}  # patterns with the same flags have one name alone
    assert {gene: values for gene, values in found.closed.items() if gene not in patterns} == {
        gene: values for gene, values in expected.items() if values and gene not in patterns
    }
    assert found.is_empty == empty
    # A layer that stands at two places (there are none in `tiny`) counts twice.
    assert (found.layers >= len(keys), found.lacking >= len(keys - has) > 0) == (True, True)
    if name == "tiny":
        assert (found.layers, found.lacking) == (len(keys), len(keys - has))
    assert found.choices == sum(len(choices) for choices in space.genes.values() if len(choices) > 1)


def _never_used(space: SearchSpace) -> set[str]:
    """Genes that no kind of their stage reads."""
    return {
        f"{stage.name}.{gene}"
        for stage in space.stages
        for gene in ("act", "se")
        if not any(space.kinds[kind].uses(gene) for kind in stage.kinds)
    }


@pytest.mark.parametrize("name", ["tiny", "mixed"])
def test_compiled_codes_know_how_many_layers_lack_a_row(name: str) -> None:
    space, both = models(0.8, 1, name)
    codes = all_codes(space)[::7]
    figures = SpaceProblem(space, both).figures(codes)
    networks = [space.decode(code) for code in codes]
    lacking = [sum(segment.key not in both.latency.rows for segment in network.segments()) for network in networks]
    assert figures.uncovered.tolist() == lacking == both.figures(networks).uncovered.tolist()
    assert figures.standing.within_limits.tolist() == [count == 0 for count in lacking]
    assert [network.digest for network in both.covered(networks)] == [
        network.digest for network, count in zip(networks, lacking, strict=True) if not count
    ]


def test_the_text_names_what_lacks_and_what_that_closes() -> None:
    space, both = models(0.97, 3, "mixed")
    found = space_coverage(both.compile(space))
    text = lacking_text(found, space, both.latency)
    assert f"lacks {found.lacking} of {found.layers} (such as [" in text
    assert f"{found.num_closed} of the space's {found.choices} choices are in no network that it covers" in text
    _, none = models(0.0, 0, "mixed")
    assert "no network of the space has rows" in lacking_text(space_coverage(none.compile(space)), space, none.latency)
