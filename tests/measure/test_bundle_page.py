from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nas.latency.device import Device, read_device
from nas.measure.bundle import TIMINGS_FILE
from nas.measure.bundle_page import page_text
from nas.measure.bundle_times import timings_text
from nas.nets.untrained import write_untrained
from tests.measure.bundles import add_phone, rows_of, small_bundle
from tests.measure.devices import TINY

WORDS = {
    "onnx": ("onnxruntime_perf_test", "P50"),
    "litert": ("benchmark_model", "microseconds"),
    "coreml": ("Xcode", "Performance"),
}


@pytest.fixture
def phone(tmp_path: Path) -> Device:
    return read_device(add_phone(tmp_path))


@pytest.mark.parametrize("form", list(WORDS))
def test_the_page_tells_how_to_time_its_formats_and_no_other(form: str, phone: Device) -> None:
    text = page_text(small_bundle((form,)), phone)
    for name, words in WORDS.items():
        assert all((word in text) == (name == form) for word in words)
    for word in (
        "3 networks", "batch 1", "**median**", "**milliseconds**", "warm-up", "a runtime", "float16",
        "`mobilenetv3-large-1.0` comes first and last", "nas lut import timings.csv --device phone",
        "From 4 timed networks on",
    ):  # fmt: skip
        assert word in text


def test_threads_are_the_device_s_own(phone: Device) -> None:
    every = small_bundle(("onnx", "litert"))
    text = page_text(every, phone)
    assert "-x 4 -y 1 NETWORK.onnx" in text and "--num_threads=4" in text and "intra_op_num_threads = 4" in text
    free = page_text(every, replace(phone, threads=0))
    assert "as many as the runtime likes" in free and "--num_threads" not in free and "-x " not in free


def test_the_program_of_the_page_fills_in_the_file(phone: Device, tmp_path: Path) -> None:
    bundle = small_bundle(("onnx", "litert"))
    (tmp_path / "onnx").mkdir()
    for network in bundle.networks:
        write_untrained(TINY.graph(), tmp_path / network.files["onnx"].path)
    (tmp_path / TIMINGS_FILE).write_text(timings_text(bundle), encoding="utf-8")
    before = rows_of(tmp_path)
    program = page_text(bundle, phone).partition("```python\n")[2].partition("```")[0]
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=120)
    after = rows_of(tmp_path)
    assert [float(row["latency_ms"]) > 0 for row in after[:4]] == [True] * 4
    assert [row["latency_ms"] for row in after[4:]] == [""] * 4
    assert [{**row, "latency_ms": ""} for row in after] == before


RUNTIME = """
class InferenceSession:
    def __init__(self, file, options, providers):
        self.text = open(file).read()
        if self.text == "bad":
            raise RuntimeError("no network")
    def get_inputs(self):
        return []
    def run(self, names, image):
        if self.text == "stop":
            raise KeyboardInterrupt
class SessionOptions:
    pass
"""


def test_the_program_of_the_page_keeps_each_time_and_goes_on_behind_a_network_that_fails(
    phone: Device, tmp_path: Path
) -> None:
    bundle = small_bundle(("onnx",))
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnxruntime.py").write_text(RUNTIME, encoding="utf-8")
    files = [tmp_path / network.files["onnx"].path for network in bundle.networks]
    for file, text in zip(files, ("bad", "good", "stop"), strict=True):
        file.write_text(text, encoding="utf-8")
    (tmp_path / TIMINGS_FILE).write_text(timings_text(bundle), encoding="utf-8")
    program = page_text(bundle, phone).partition("```python\n")[2].partition("```")[0]

    def run() -> list[bool]:
        subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False, timeout=120, capture_output=True)
        assert not (tmp_path / f"{TIMINGS_FILE}-part").exists()
        return [bool(row["latency_ms"]) for row in rows_of(tmp_path)]

    assert run() == [False, True, False, False]  # the reference is first and last
    before = rows_of(tmp_path)[1]
    files[2].write_text("good", encoding="utf-8")
    assert run() == [False, True, True, False]
    assert rows_of(tmp_path)[1] == before
