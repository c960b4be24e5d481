from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nas
from nas.errors import InputError
from nas.evaluate import Limits
from nas.space.codes import CodeSpace, Point
from nas.space.search_space import SearchSpace
from nas.strategies.problem import Codes
from nas.trials.domain import CodeDomain, NetworkDomain
from tests.jobs.small import small_space, tiny_document

SPACE = CodeSpace(
    name="pair", description="", genes={"depth": (2, 4, 8), "width": (1, 3), "act": ("relu", "swish")}, source=""
)


class Product:
    """Depth times width; what it was asked is remembered."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def latency_ms(self, points: Sequence[Point]) -> NDArray[np.float64]:
        self.asked.append(len(points))
        return np.array([point.genes["depth"] * point.genes["width"] for point in points], dtype=np.float64)


def test_latencies_are_those_of_the_points() -> None:
    domain = CodeDomain(SPACE, Product())

    assert domain.latency_ms(np.array([[0, 0, 0], [2, 1, 1], [1, 1, 0]])).tolist() == [2.0, 24.0, 12.0]
    assert domain.features(np.array([[2, 1, 1]])) == pytest.approx(np.log([[24.0]]))
    assert domain.choices == ((2, 4, 8), (1, 3), ("relu", "swish"))
    assert domain.point([1, 0, 1]).genes == {"depth": 4, "width": 1, "act": "swish"}


def test_a_latency_is_asked_once_for_each_point_of_a_small_space() -> None:
    latency = Product()
    domain = CodeDomain(SPACE, latency)
    codes = SPACE.sample_codes(200, np.random.default_rng(0))

    domain.latency_ms(codes)
    domain.latency_ms(codes[::-1])

    assert sum(latency.asked) == len(np.unique(codes, axis=0))


def test_a_latency_of_a_large_space_is_remembered() -> None:
    large = CodeSpace(name="large", description="", genes={f"g{i}": (1, 2, 3) for i in range(30)}, source="")

    class Sum:
        asked = 0

        def codes_ms(self, codes: Codes) -> NDArray[np.float64]:
            self.asked += len(codes)
            return np.asarray(codes.sum(axis=1) + 1.0)

        def latency_ms(self, points: Any) -> Any:
            raise AssertionError("codes are asked for in arrays")

    latency = Sum()
    domain = CodeDomain(large, latency)
    codes = large.sample_codes(500, np.random.default_rng(0))

    assert domain.latency_ms(codes).tolist() == (codes.sum(axis=1) + 1.0).tolist()
    assert domain.latency_ms(np.concatenate((codes, codes))).tolist() == (codes.sum(axis=1) + 1.0).tolist() * 2
    assert latency.asked == 500


def test_codes_that_are_one_point_have_one_digest() -> None:
    def width_is_idle(codes: Codes) -> Codes:
        found = codes.copy()
        found[codes[:, 0] == 0, 1] = 0
        return found

    domain = CodeDomain(SPACE, Product(), canonical=width_is_idle)

    assert domain.canonical(np.array([[0, 1, 1], [1, 1, 1]])).tolist() == [[0, 0, 1], [1, 1, 1]]
    assert domain.digest([0, 1, 1]) == domain.digest([0, 0, 1])
    assert domain.digest([1, 1, 1]) != domain.digest([1, 0, 1])
    assert domain.latency_ms(np.array([[0, 1, 1]])).tolist() == [2.0]


def test_a_digest_is_the_same_in_another_process_and_whatever_the_order_of_genes() -> None:
    turned = CodeSpace(name="turned", description="", genes=dict(reversed(list(SPACE.genes.items()))), source="")
    program = "from tests.trials.test_domain import *\nprint(CodeDomain(SPACE, Product()).digest([2, 1, 1]))"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    digest = CodeDomain(SPACE, Product()).digest([2, 1, 1])

    assert other.stdout.strip() == digest == CodeDomain(turned, Product()).digest([1, 1, 2])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda points: np.ones(len(points) + 1), "must give 2 numbers"),
        (lambda points: np.array([1.0, np.nan]), "positive and finite"),
        (lambda points: np.array([1.0, 0.0]), "positive and finite"),
    ],
)
def test_a_latency_that_is_none_is_refused(answer: Any, message: str) -> None:
    class Broken:
        latency_ms = staticmethod(answer)

    with pytest.raises(InputError, match=message):
        CodeDomain(SPACE, Broken()).latency_ms(np.array([[0, 0, 0], [1, 1, 1]]))


def test_canonical_codes_keep_their_shape() -> None:
    domain = CodeDomain(SPACE, Product(), canonical=lambda codes: codes[:, :2])

    with pytest.raises(InputError, match="must have shape"):
        domain.canonical(np.array([[0, 0, 0]]))


def _networks() -> SearchSpace:
    space = small_space(**tiny_document(widths=((8, 16), (16, 24), (24, 32))))
    assert isinstance(space, SearchSpace)
    return space


def test_a_compiled_latency_is_that_of_the_networks() -> None:
    space, latency = _networks(), nas.load_latency("iphone12")
    compiled = NetworkDomain(space, latency, accuracy=nas.load_accuracy("imagenet"))
    asked = NetworkDomain(space, latency)
    codes = space.sample_codes(20, np.random.default_rng(0))

    assert compiled.problem is not None and asked.problem is None
    assert compiled.latency_ms(codes) == pytest.approx(asked.latency_ms(codes), rel=1e-9)
    assert compiled.digest(codes[0].tolist()) == space.decode(codes[0]).digest
    expected = [np.log([space.decode(code).macs, space.decode(code).params]) for code in codes]
    assert compiled.features(codes)[:, 1:] == pytest.approx(np.array(expected))


def test_limits_beside_the_latency_are_an_excess() -> None:
    space, latency = _networks(), nas.load_latency("iphone12")
    codes = space.sample_codes(20, np.random.default_rng(0))
    params = np.array([space.decode(code).params for code in codes])
    limit = int(np.median(params))
    limits = Limits(max_params=limit, max_novelty=None, max_interval=None)

    excess = NetworkDomain(space, latency, accuracy=nas.load_accuracy("imagenet"), limits=limits).excess(codes)

    assert ((excess > 0) == (params > limit)).all()
    assert (NetworkDomain(space, latency).excess(codes) == 0).all()
