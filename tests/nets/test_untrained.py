from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from nas.errors import InputError
from nas.graph import Builder
from nas.graph.ops import Activation
from nas.nets.untrained import write_untrained
from nas.testing.runners import small_network
from tests.extras import needs


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_the_same_seed_gives_the_same_file(suffix: str, tmp_path: Path) -> None:
    if suffix == ".tflite":
        needs("ai_edge_litert")
    files = [
        write_untrained(small_network(8), tmp_path / f"{name}{suffix}", seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    first, second, other = (path.read_bytes() for path in files)
    assert first == second != other


def test_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.onnx, \.tflite, \.mlpackage, but got m\.pt"):
        write_untrained(small_network(8), tmp_path / "m.pt")


def test_the_threads_of_torch_are_left_alone(tmp_path: Path) -> None:
    import torch

    before = torch.get_num_threads()
    write_untrained(small_network(8), tmp_path / "m.onnx")
    assert torch.get_num_threads() == before


def test_prelu_has_the_mixed_signs_of_an_image(tmp_path: Path) -> None:
    """ONNX Runtime's PReLU takes many times as long for them as for a channel of one sign."""
    b = Builder((3, 32, 32))
    x = b.input
    for width in (8, 16, 16):
        x = b.conv(b.act(b.conv(x, width, 3), "relu"), width, 3)  # without statistics, means grow through ReLUs
    b.add(Activation("prelu"), x)
    path = write_untrained(b.build(), tmp_path / "m.onnx")
    model = onnx.load(path)
    (prelu,) = (node for node in model.graph.node if node.op_type == "PRelu")
    model.graph.output.append(onnx.helper.make_tensor_value_info(prelu.input[0], onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).standard_normal((1, 3, 32, 32), dtype=np.float32)
    _, before = session.run(None, {"image": image})
    negative = (before < 0).mean(axis=(0, 2, 3))
    assert ((negative > 0.2) & (negative < 0.8)).all()
