from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from nas.errors import InputError
from nas.graph.ops import Conv, Linear, MatMul
from nas.installed import extra_remedy
from nas.nets import build
from nas.nets.coreml import coreml_operators, export_coreml, read_coreml
from nas.space.seeds import families
from nas.zoo.check import check_coreml
from tests.extras import needs
from tests.nets.shortened import shortened
from tests.zoo.networks import small

# Core ML's number of an ML program's type (MIL.proto, enum DataType).
_FLOAT16 = 10


def _values(spec: Any) -> list[Any]:
    """The tensor types of all values of an ML program."""
    return [
        output.type.tensorType
        for function in spec.mlProgram.functions.values()
        for block in function.block_specializations.values()
        for operator in block.operations
        for output in operator.outputs
    ]


@pytest.mark.slow
@pytest.mark.parametrize("family", list(families()))
def test_every_family_converts(family: str, tmp_path: Path) -> None:
    needs("coremltools")
    network = shortened(family)
    module = build(network)
    path = export_coreml(module, tmp_path / "model.mlpackage")
    spec = read_coreml(path)
    used = coreml_operators(spec)
    assert check_coreml(module, path)["operators"] == used
    assert dict(spec.description.metadata.userDefined).items() >= {
        "untrained": "true", "name": network.name, "digest": network.digest,
    }.items()  # fmt: skip
    # Core ML takes no tensor of more than five axes (apple/coremltools, issue 1723).
    assert max(value.rank for value in _values(spec)) <= 5
    assert not used.keys() & {"gather", "gather_nd", "gather_along_axis", "lstm", "gru", "rnn", "custom_layer"}
    products = sum(isinstance(node.op, Conv | Linear | MatMul) for node in network.graph().nodes)
    assert used.get("conv", 0) + used.get("linear", 0) + used.get("matmul", 0) == products
    # Two bytes a weight; tensors are aligned, and small ones stand in the program itself.
    weights = (path / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size
    assert 0.8 * 2 * network.params < weights < 1.3 * 2 * network.params


def test_the_program_is_float16_between_float32_ends(tmp_path: Path) -> None:
    needs("coremltools")
    spec = read_coreml(export_coreml(build(small()), tmp_path / "a" / "model.mlpackage", trained=True))
    assert dict(spec.description.metadata.userDefined)["untrained"] == "false"
    kinds = {value.dataType for value in _values(spec) if value.rank == 4}
    assert kinds == {_FLOAT16}


def test_without_the_converter_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(
        InputError, match=r"coreml needs coremltools, which is not installed; " + re.escape(extra_remedy("coreml"))
    ):
        export_coreml(build(small()), tmp_path / "model.mlpackage")
    assert not list(tmp_path.iterdir())
