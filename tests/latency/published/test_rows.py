from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.errors import InputError
from nas.latency.published.rows import COLUMNS, PublishedIndex, PublishedRow, calibration, read_published
from tests.latency.examples import classifier, pointwise, row, table

HEADER = ",".join(COLUMNS)
LINE = "A,F,224,yes,convolutional,0.9,0.01,RV,a paper,2024"


def write(folder: Path, *lines: str) -> Path:
    path = folder / "networks.csv"
    path.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")
    return path


def published(name: str, *, resolution: int = 224, scope: str = "convolutional", protocol: str = "RV") -> PublishedRow:
    return PublishedRow(
        network=name, family="F", resolution=resolution, head="yes", scope=scope, latency_ms=1.0, rounding_ms=0.01,
        protocol=protocol, source="a paper", date="2024",
    )  # fmt: skip


def test_rows_are_read_as_they_stand(tmp_path: Path) -> None:
    assert read_published(write(tmp_path, LINE)) == [
        PublishedRow(
            network="A", family="F", resolution=224, head="yes", scope="convolutional", latency_ms=0.9,
            rounding_ms=0.01, protocol="RV", source="a paper", date="2024",
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((LINE, "A,F,224,yes"), "row 3: "),
        ((LINE.replace("0.9", "-1"),), "row 2: latency_ms must be a positive finite number, but got '-1'"),
        ((LINE.replace("0.9", "nan"),), "row 2: latency_ms"),
        ((LINE.replace("224", "x"),), "row 2: resolution"),
        ((LINE.replace("RV", ""),), "row 2: protocol must be given"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, lines: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match="networks.csv") as caught:
        read_published(write(tmp_path, *lines))
    assert words in str(caught.value)


def test_wrong_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "networks.csv"
    path.write_text("network,latency_ms\nA,1\n", encoding="utf-8")
    with pytest.raises(InputError, match="row 1: columns must be"):
        read_published(path)


def test_networks_that_share_every_convolution_are_one() -> None:
    plain = table(pointwise(8, 8, 4), row("act:relu"), classifier(8))
    gated = table(pointwise(8, 8, 4), row("act:gelu"), row("gap"), classifier(8, 2), classifier(2, 8), row("se_mul"))
    large = table(pointwise(8, 8, 16))
    other = table(pointwise(8, 16, 4), classifier(16))
    lists = {"plain": plain, "gated": gated, "large@512b": large, "other": other}
    data = calibration([published(name) for name in lists], lists, None)
    assert data.identity.tolist() == [0, 0, 0, 1]


def test_only_convolutional_rows_calibrate_and_those_at_300_px_are_in_scope() -> None:
    rows = [
        published("a"), published("b", resolution=512), published("c", scope="attention"),
        published("d", scope="convolutional, other operators"),
    ]  # fmt: skip
    lists = {name: table(pointwise(8, 8, 4)) for name in "abcd"}
    data = calibration(rows, lists, None)
    assert [r.network for r in data.rows] == ["a", "b", "d"]
    assert data.in_scope.tolist() == [True, False, True]
    assert data.scored.tolist() == [True, False, False]


def test_operators_come_from_the_lists_or_from_the_resolver() -> None:
    resolved = table(pointwise(4, 4, 2))
    data = calibration([published("ours")], {}, lambda name: resolved)
    assert data.tables["ours"] is resolved
    with pytest.raises(InputError, match="'ours'"):
        calibration([published("ours")], {}, None)
    with pytest.raises(InputError, match="convolutional"):
        calibration([published("ours", scope="attention")], {"ours": resolved}, None)


def test_observations_number_networks_and_sources() -> None:
    rows = [published("b", protocol="Z"), published("a"), published("b")]
    data = calibration(rows, {name: table(pointwise(8, 8, 4)) for name in "ab"}, None)
    assert data.networks == ("b", "a")
    assert data.sources == ("RV", "Z")
    assert data.observations.network.tolist() == [0, 1, 0]
    assert data.observations.source.tolist() == [1, 0, 0]
    assert np.array_equal(data.log_latency, np.zeros(3))


def test_a_network_is_found_by_its_operators_under_any_name() -> None:
    operators = [pointwise(8, 8, 4), row("act:relu6"), classifier(8)]
    index = PublishedIndex([published("a"), published("b")], {"a": table(*operators), "b": table(pointwise(8, 8, 5))})
    ours = [classifier(8), row("act:relu"), pointwise(8, 8, 4)]
    assert [r.network for r in index.find(table(*ours))] == ["a"]
    assert index.find(table(pointwise(8, 9, 4))) == []
