from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nas.errors import InputError
from nas.latency.home import DeviceHome, device_home
from nas.runners.engines import LITERT, ONNX_RUNTIME
from nas.runners.find import find_runner
from nas.runners.local import LocalRunner


def local(**changes: Any) -> DeviceHome:
    """The shipped device `local`, its `device.yaml` changed."""
    home = device_home("local")
    return replace(home, device=replace(home.device, **changes))


@pytest.mark.parametrize(("name", "engine"), [("local", ONNX_RUNTIME), ("local-litert", LITERT)])
def test_the_shipped_devices_have_runners(name: str, engine: object) -> None:
    found = find_runner(device_home(name))
    assert isinstance(found, LocalRunner) and found.engine is engine


def test_a_runtime_may_be_named_with_its_version() -> None:
    assert find_runner(local(runtime="ONNX Runtime 1.31.0")).suffix == ".onnx"


@pytest.mark.parametrize("threads", [0, 1, 4, 256])
def test_any_number_of_threads_will_do(threads: int) -> None:
    assert find_runner(local(threads=threads)).suffix == ".onnx"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"reach": ""},
            "local/device.yaml: reach must be local, ssh, adb or ios .* but got 'none'; .*import FILE --device local",
        ),
        (
            {"reach": "bundle"},
            "reach must be local, ssh, adb or ios .* but got 'bundle'; `nas lut bundle --device local",
        ),
        (
            {"runtime": "ONNX Runtimes"},
            r"runtime must be one .* \(ONNX Runtime, LiteRT, Core ML\), but got 'ONNX Runtimes'",
        ),
        (
            {"runtime": "Core ML", "precision": "float16", "threads": 2},
            r"local/device\.yaml: threads must be at most 0, but got 2",
        ),
        ({"runtime": ""}, "runtime must be one"),
        ({"precision": "int8"}, r"local/device\.yaml: precision must be .* \(float32\), but got 'int8'"),
        ({"compute_unit": "GPU"}, r"local/device\.yaml: compute_unit must be .* \(CPU\), but got 'GPU'"),
        ({"threads": 257}, r"local/device\.yaml: threads must be at most 256, but got 257"),
    ],
)
def test_what_nothing_here_can_do_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        find_runner(local(**changes))
