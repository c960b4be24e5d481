"""Bundles written with files of a word each: which are written, kept, written again, left out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nas.errors import ConversionError, InputError, NasError, UnknownOperatorError
from nas.graph import Graph
from nas.measure.bundle import Bundle, checksum, read_bundle
from nas.measure.bundle_files import write_networks
from nas.measure.plan import Item, probe_item
from nas.progress import Step
from nas.runtimes import OWN
from tests.measure.bundles import small_bundle

EMPTY = replace(small_bundle(), networks=(), wanted=4)


def probes(first: int = 0) -> Iterator[Item]:
    return (probe_item(f"probe-{number}", OWN) for number in itertools.count(first))


class Writer:
    """Writes the number of parameters; refuses the graphs that have `refused` many in files of `suffix`."""

    def __init__(self) -> None:
        self.paths: list[Path] = []
        self.refused: dict[int, NasError] = {}
        self.suffix = ".onnx"

    def __call__(self, graph: Graph, path: Path, *, seed: int = 0) -> Path:
        if graph.params in self.refused and path.suffix == self.suffix:
            raise self.refused[graph.params]
        self.paths.append(path)
        path.write_text(f"{graph.params} {seed}", encoding="utf-8")
        return path


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Writer:
    found = Writer()
    monkeypatch.setattr("nas.nets.untrained.write_untrained", found)
    return found


def names(bundle: Bundle) -> list[str]:
    return [network.name for network in bundle.networks]


def test_every_network_has_a_file_in_each_format_with_its_checksum(writer: Writer, tmp_path: Path) -> None:
    steps: list[Step] = []
    asked = replace(EMPTY, formats=("onnx", "litert"), seed=5)
    found = write_networks(asked, tmp_path, probes(), OWN, steps.append)
    assert names(found.bundle) == ["mobilenetv3-large-1.0", "probe-0", "probe-1", "probe-2"]
    assert found.written == len(writer.paths) == 8
    for network in found.bundle.networks:
        for file in network.files.values():
            assert checksum(tmp_path / file.path) == file.sha256
            assert (tmp_path / file.path).read_text("utf-8").endswith(" 5")
    assert read_bundle(tmp_path) == found.bundle
    assert {step.of for step in steps} == {4} and [step.done for step in steps] == [1, 2, 3]


def test_what_is_there_is_not_written_again(writer: Writer, tmp_path: Path) -> None:
    first = write_networks(EMPTY, tmp_path, probes(), OWN).bundle
    writer.paths.clear()
    again = write_networks(first, tmp_path, iter(()), OWN)
    assert (again.bundle, again.written, writer.paths) == (first, 0, [])


def test_a_file_that_is_damaged_or_gone_is_written_again(writer: Writer, tmp_path: Path) -> None:
    first = write_networks(EMPTY, tmp_path, probes(), OWN).bundle
    damaged, gone = (tmp_path / network.files["onnx"].path for network in first.networks[1:3])
    damaged.write_text("half", encoding="utf-8")
    gone.unlink()
    writer.paths.clear()
    again = write_networks(first, tmp_path, iter(()), OWN)
    assert (again.bundle, again.written, writer.paths) == (first, 2, [damaged, gone])


def test_a_bundle_that_was_stopped_goes_on_to_the_same(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.measure.bundle_files._EVERY", 1)
    whole = write_networks(EMPTY, tmp_path / "whole", probes(), OWN).bundle

    def stopped() -> Iterator[Item]:
        yield from itertools.islice(probes(), 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_networks(EMPTY, tmp_path / "part", stopped(), OWN)
    before = read_bundle(tmp_path / "part")
    assert names(before) == ["mobilenetv3-large-1.0", "probe-0", "probe-1"]
    writer.paths.clear()
    assert write_networks(before, tmp_path / "part", probes(), OWN).bundle == whole
    assert [path.name for path in writer.paths] == ["003-probe-2.onnx"]


@pytest.mark.parametrize("fault", [ConversionError("no such layer."), UnknownOperatorError("no form.")])
def test_a_network_that_a_format_cannot_hold_is_left_out_and_the_next_takes_its_place(
    writer: Writer, tmp_path: Path, fault: NasError
) -> None:
    writer.refused[probe_item("probe-1", OWN).graph().params] = fault
    writer.suffix = ".tflite"
    found = write_networks(replace(EMPTY, formats=("onnx", "litert")), tmp_path, probes(), OWN).bundle
    assert names(found) == ["mobilenetv3-large-1.0", "probe-0", "probe-2", "probe-3"]
    assert found.left_out == {"probe-1": str(fault)}
    assert sorted(path.name for path in tmp_path.glob("onnx/*"))[2] == "002-probe-2.onnx"
    assert len(list(tmp_path.glob("*/*"))) == 8


def test_a_full_disk_is_no_fault_of_a_network(writer: Writer, tmp_path: Path) -> None:
    writer.refused[probe_item("probe-1", OWN).graph().params] = NasError("the disk must have room.")
    with pytest.raises(NasError, match="must have room"):
        write_networks(EMPTY, tmp_path, probes(), OWN)


def test_a_format_that_refuses_all_is_given_up(writer: Writer, tmp_path: Path) -> None:
    items = list(itertools.islice(probes(), 25))
    writer.refused = {item.graph().params: ConversionError("no.") for item in items}
    with pytest.raises(InputError, match="but 20 were refused, first probe-0: no. Choose another --format"):
        write_networks(EMPTY, tmp_path, items, OWN)


def test_more_than_there_is_to_time_is_told(writer: Writer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="but of 4 there are 3; ask for fewer"):
        write_networks(EMPTY, tmp_path, itertools.islice(probes(), 2), OWN)
