from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from nas.errors import InputError, NasError
from nas.graph import Builder
from nas.graph.ops import Activation
from nas.runners import local
from nas.runners.local import LITERT, ONNX_RUNTIME, LocalRunner
from nas.runners.runner import Runner
from nas.testing.runners import RunnerConformance, small_network
from tests.extras import needs
from tests.measure.devices import tiny_onnx


class TestOnnxRuntime(RunnerConformance):
    @pytest.fixture
    def runner(self) -> Runner:
        return LocalRunner(ONNX_RUNTIME)


class TestLiteRt(RunnerConformance):
    @pytest.fixture
    def runner(self) -> Runner:
        needs("ai_edge_litert")
        return LocalRunner(LITERT)


def test_the_runtime_is_named_with_its_version() -> None:
    assert LocalRunner(ONNX_RUNTIME).environment()["runtime"] == f"ONNX Runtime {onnxruntime.__version__}"


def test_without_the_runtime_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(local, "version", absent)
    runner = LocalRunner(LITERT)
    with pytest.raises(InputError, match=r"ai-edge-litert is not; pip install 'nas\[litert\]'"):
        runner.environment()
    with pytest.raises(InputError, match="must be installed"):
        runner.write(small_network(8), tmp_path / "m.tflite")
    with pytest.raises(InputError, match="must be installed"):
        runner.time([], rounds=1)


def test_a_process_that_dies_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def killed(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], -9, stdout="", stderr="loading\nout of memory\n")

    monkeypatch.setattr(subprocess, "run", killed)
    with pytest.raises(NasError, match=r"run m\.onnx to the end, but its process ended with -9: out of memory"):
        LocalRunner(ONNX_RUNTIME).time([tiny_onnx(tmp_path / "m.onnx")], rounds=1)


def test_writing_a_network_leaves_the_threads_of_torch_alone(tmp_path: Path) -> None:
    import torch

    before = torch.get_num_threads()
    LocalRunner(ONNX_RUNTIME).write(small_network(8), tmp_path / "m.onnx")
    assert torch.get_num_threads() == before


def test_prelu_is_timed_with_the_mixed_signs_of_an_image(tmp_path: Path) -> None:
    """ONNX Runtime's PReLU takes many times as long for them as for a channel of one sign."""
    b = Builder((3, 32, 32))
    x = b.input
    for width in (8, 16, 16):
        x = b.conv(b.act(b.conv(x, width, 3), "relu"), width, 3)  # without statistics, means grow through ReLUs
    b.add(Activation("prelu"), x)
    graph = b.build()
    path = LocalRunner(ONNX_RUNTIME).write(graph, tmp_path / "m.onnx")
    model = onnx.load(path)
    (prelu,) = (node for node in model.graph.node if node.op_type == "PRelu")
    model.graph.output.append(onnx.helper.make_tensor_value_info(prelu.input[0], onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).standard_normal((1, 3, 32, 32), dtype=np.float32)
    _, before = session.run(None, {"image": image})
    negative = (before < 0).mean(axis=(0, 2, 3))
    assert ((negative > 0.2) & (negative < 0.8)).all()
