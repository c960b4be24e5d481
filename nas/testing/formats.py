"""What every file format of an export must do: inherit `FormatConformance` and give it one fixture, `file_format`."""

from __future__ import annotations

import shutil
from abc import abstractmethod
from pathlib import Path

import pytest
import torch

from nas.errors import NasError
from nas.graph import Graph
from nas.graph.builder import Builder
from nas.graph.graph import Node
from nas.graph.ops import Op
from nas.nets import GraphModule, build, build_graph
from nas.space import Architecture, parse_architecture
from nas.zoo.formats import Format


def small_network(num_classes: int) -> Architecture:
    """A network of a few thousand weights, with what converters stumble over: branches, gates, a residual."""
    layers = [
        {"block": "conv", "out": 8, "stride": 2},
        {"block": "mobileone", "out": 16, "stride": 2, "branches": 2},
        {"block": "repvit", "hidden": 32, "se": 8},
        {"block": "head", "norm": True},
    ]
    document = {"schema": 1, "name": "small", "resolution": 32, "num_classes": num_classes, "layers": layers}
    return parse_architecture(document, "small")


class Mystery(Op):
    """An operator that no format has a form for."""

    name = "mystery"


def with_a_mystery() -> Graph:
    """A network whose last operator no format can write."""
    b = Builder((3, 8, 8))
    b.layer = 1
    b.act(b.input, "relu")
    known = b.build()
    return Graph((*known.nodes, Node(Mystery(), (len(known.nodes) - 1,), known.output_shape, 1)))


class FormatConformance:
    """The tests. `file_format` must be of class scope, since some files take seconds to write."""

    @pytest.fixture(scope="class")
    @classmethod
    @abstractmethod
    def file_format(cls) -> Format:
        """The format to test."""

    @pytest.fixture(scope="class")
    @classmethod
    def module(cls) -> GraphModule:
        """A network of five classes in training form."""
        return build(small_network(5), seed=1)

    @pytest.fixture(scope="class")
    @classmethod
    def written(cls, file_format: Format, module: GraphModule, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Its file, in a folder that was not there."""
        path = tmp_path_factory.mktemp("written") / "new" / file_format.file
        before = {name: value.clone() for name, value in module.state_dict().items()}
        file_format.write(module, path, False)
        file_format.check(module, path)
        # Neither touches the network.
        assert module.training and all(parameter.requires_grad for parameter in module.parameters())
        assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
        return path

    @pytest.fixture
    def copy(self, written: Path, tmp_path: Path) -> Path:
        """A copy to damage."""
        shutil.copytree(written.parent, tmp_path / "copy")
        return tmp_path / "copy" / written.name

    def test_one_file_of_its_name_is_written_and_nothing_else(self, file_format: Format, written: Path) -> None:
        assert [path.name for path in written.parent.iterdir()] == [file_format.file]

    def test_it_says_what_the_file_is(self, file_format: Format) -> None:
        text = file_format.what.format(image="(1, 3, 32, 32)", logits="(1, 5)")
        assert "`image` float32 (1, 3, 32, 32)" in text and "`logits` (1, 5)" in text

    def test_the_check_says_how_far_the_file_is_from_the_network(
        self, file_format: Format, module: GraphModule, written: Path
    ) -> None:
        facts = file_format.check(module, written)
        if facts["max_relative_error"] is None:  # no runtime for it here
            assert "limit" not in facts
        else:
            assert 0.0 <= facts["max_relative_error"] <= facts["limit"] < 0.01
        versions = [value for key, value in facts.items() if isinstance(value, str)]
        assert len(versions) == 1 and versions[0][0].isdigit()
        assert all(number > 0 for number in facts.get("operators", {"any": 1}).values())
        assert facts == file_format.check(module, written)

    def test_a_file_of_other_weights_is_refused_where_it_can_be_run(
        self, file_format: Format, module: GraphModule, written: Path
    ) -> None:
        other = build(small_network(5), seed=2)
        if file_format.check(module, written)["max_relative_error"] is None:
            assert file_format.check(other, written) == file_format.check(module, written)
            return
        with pytest.raises(NasError, match=rf"{written.name} must compute what the network computes in torch"):
            file_format.check(other, written)

    def test_a_file_of_another_network_is_refused_and_replaced(
        self, file_format: Format, module: GraphModule, copy: Path
    ) -> None:
        other = build(small_network(6), seed=1)
        with pytest.raises(NasError, match=rf"{copy.name} must"):
            file_format.check(other, copy)
        file_format.write(other, copy, True)
        assert [path.name for path in copy.parent.iterdir()] == [copy.name]
        file_format.check(other, copy)
        with pytest.raises(NasError, match=rf"{copy.name} must"):
            file_format.check(module, copy)

    def test_a_file_that_is_cut_off_is_refused(self, file_format: Format, module: GraphModule, copy: Path) -> None:
        for path in [copy] if copy.is_file() else [path for path in copy.rglob("*") if path.is_file()]:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(NasError, match=rf"{copy.name} must"):
            file_format.check(module, copy)

    def test_a_file_that_is_absent_is_refused(self, file_format: Format, module: GraphModule, tmp_path: Path) -> None:
        with pytest.raises(NasError, match=rf"{file_format.file} must"):
            file_format.check(module, tmp_path / file_format.file)

    def test_what_it_has_no_form_for_is_refused(self, file_format: Format, tmp_path: Path) -> None:
        with pytest.raises(NasError, match="mystery"):
            file_format.write(build_graph(with_a_mystery()), tmp_path / file_format.file, False)
        assert not list(tmp_path.iterdir())

    def test_a_place_that_cannot_be_written_to_is_named(
        self, file_format: Format, module: GraphModule, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(NasError, match="must be writable"):
            file_format.write(module, tmp_path / "file" / file_format.file, False)
