"""What benchmark programs print: outputs as their documentation and users show them."""

# ruff: noqa: E501

from __future__ import annotations

import pytest

from nas.errors import NasError
from nas.runners.benchmark_output import litert_arguments, onnx_arguments, read_litert, read_onnx

LITERT = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Graph: [m.tflite]
INFO: Signature to run: []
INFO: Loaded model m.tflite
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: The input model file size (MB): 67.3128
INFO: Initialized session in 5.579ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=1 curr=1357602 p5=1357602 median=1357602 p95=1357602

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=50 first=1249964 curr=1240143 min=1238588 max=1252566 avg=1.24027e+06 std=2565 p5=1238753 median=1239807 p95=1247415

INFO: Inference timings in us: Init: 5579, First inference: 1357602, Warmup (avg): 1.3576e+06, Inference (avg): 1.24027e+06
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual memory
INFO: Memory footprint delta from the start of the tool (MB): init=12 overall=12
"""
TENSORFLOW_2_3 = """\
STARTING!
Loaded model
The input model file size (MB): 0.005912
Initialized session in 1.461ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=7837 first=114 curr=32 min=28 max=114 avg=31.462 std=1

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=15523 first=51 curr=32 min=28 max=51 avg=31.4759 std=0

Inference timings in us: Init: 1461, First inference: 114, Warmup (avg): 31.462, Inference (avg): 31.4759
"""
TENSORFLOW_1 = """\
Initialized session in 21.039ms
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=1 curr=751932

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=747738 curr=747428 min=747331 max=748577 avg=747733 std=293

Average inference timings in us: Warmup: 751932, Init: 21039, no stats: 747733
"""
ONNX = """\
Setting intra_op_num_threads to 1
Session creation time cost: 0.217932 s
First inference time cost: 196 ms
Total inference time cost: 0.49481 s
Total inference requests: 5
Average inference time cost total: 98.961997 ms
Total inference run time: 0.494854 s
Number of inferences per second: 10.104
Avg CPU usage: 11 %
Peak working set size: 271122432 bytes
Avg CPU usage:11
Peak working set size:271122432
Runs:5
Min Latency: 0.0958204 s
Max Latency: 0.101519 s
P50 Latency: 0.0995086 s
P90 Latency: 0.101519 s
"""


def test_the_mean_of_the_second_phase_is_read_in_ms() -> None:
    assert read_litert(LITERT, 50).mean_ms == pytest.approx(1240.27)
    assert read_litert(TENSORFLOW_2_3, 50).mean_ms == pytest.approx(0.0314759)


def test_loading_and_the_first_run_are_told_where_they_stand() -> None:
    found = read_litert(LITERT, 50)
    assert found.load_ms == pytest.approx(5.579) and found.first_ms == pytest.approx(1357.602)
    found = read_litert(LITERT.replace("Init: 5579", "Init: nan"), 50)
    assert found.load_ms is None and found.first_ms == pytest.approx(1357.602)
    found = read_onnx(ONNX, 5)
    assert found.load_ms == pytest.approx(217.932) and found.first_ms == 196.0
    assert read_onnx(ONNX.replace("Session creation time cost", "Load"), 5).load_ms is None


def test_runs_that_all_took_the_same_have_no_mean_of_their_own() -> None:
    text = TENSORFLOW_2_3.replace("count=15523 first=51 curr=32 min=28 max=51 avg=31.4759 std=0", "count=50 curr=32")
    assert read_litert(text.replace("(avg): 31.4759", "(avg): 32"), 50).mean_ms == 0.032


@pytest.mark.parametrize(
    "text",
    [
        TENSORFLOW_1,
        "",
        LITERT.partition("INFO: Inference")[0],  # unplugged before the end
        LITERT.replace("Inference timings in us: Init: 5579", "Inference timings in ms: Init: 5579"),
        LITERT.replace("count=50", "count=49"),
        LITERT.replace("Inference (avg): 1.24027e+06", "Inference (avg): 1.34027e+06"),
        LITERT.replace("Inference (avg): 1.24027e+06", "Inference (avg): nan"),
        LITERT.replace("INFO: count=1 ", "INFO: runs=1 "),
        LITERT + LITERT,
    ],
    ids=["1.x", "nothing", "cut", "ms", "fewer runs", "two means", "no number", "another name", "twice"],
)
def test_another_form_of_litert_is_refused(text: str) -> None:
    with pytest.raises(
        NasError, match="benchmark_model on the phone must print what this program reads .* another form"
    ):
        read_litert(text, 50)


def test_both_names_of_the_mean_are_read() -> None:
    assert read_onnx(ONNX, 5).mean_ms == 98.961997
    assert read_onnx(ONNX.replace("cost total:", "cost:"), 5).mean_ms == 98.961997


@pytest.mark.parametrize(
    "text",
    [
        ONNX.replace(" ms\nTotal inference run", " s\nTotal inference run"),
        ONNX.replace("requests: 5", "requests: 4"),
        ONNX.replace("Min Latency: 0.0958204 s", "Min Latency: 0.1958204 s"),
        ONNX.replace("Max Latency: 0.101519 s\n", ""),
        "",
    ],
    ids=["seconds", "fewer runs", "a mean below the least", "no greatest", "nothing"],
)
def test_another_form_of_onnx_runtime_is_refused(text: str) -> None:
    with pytest.raises(NasError, match="onnxruntime_perf_test on the phone must print"):
        read_onnx(text, 5)


def test_programs_are_given_threads_where_the_device_says_how_many() -> None:
    assert "--num_threads=4" in litert_arguments("m", 4, 2, 5) and onnx_arguments("m", 4, 2, 5)[6:8] == ["-x", "4"]
    assert not any("threads" in word for word in litert_arguments("m", 0, 2, 5)) and "-x" not in onnx_arguments(
        "m", 0, 2, 5
    )
