"""`README.md` of a bundle: how its networks are timed, for someone who has the device and not this program."""

from __future__ import annotations

from nas.latency.device import Device
from nas.latency.timed.regression import MIN_NETWORKS
from nas.measure.bundle import TIMINGS_FILE, Bundle
from nas.measure.few import FEW, LEAST

_WHAT = {
    "onnx": "ONNX files (opset 20), for ONNX Runtime and whatever else reads them",
    "litert": "LiteRT files, also known as TensorFlow Lite",
    "coreml": "Core ML packages (ML programs in float16, iOS 15 and macOS 12 or newer)",
}


def page_text(bundle: Bundle, device: Device) -> str:
    """The page of instructions, in Markdown."""
    threads = device.threads or "as many as the runtime likes"
    least = LEAST if bundle.wanted <= FEW else MIN_NETWORKS
    formats = "\n".join(f"* `{name}/`: {_WHAT[name]}" for name in bundle.formats)
    return f"""\
# Networks to time on {bundle.device}

{len(bundle.networks)} networks with random weights, from which `nas` learns what others will take on this device. They
were chosen for the search space `{bundle.space}`; a time does not depend on weights. Time **one** of these formats, the
one that you will ship:

{formats}

Every network must run on the device as `device.yaml` says:

| | |
|---|---|
| chip | {device.chip} |
| runtime | {device.runtime} |
| compute unit | {device.compute_unit} |
| precision | {device.precision} |
| threads | {threads} |

## How

1. Close what else runs on the device, plug it in, let it cool down. Keep the screen on where it matters.
2. Time the networks **in the order of `{TIMINGS_FILE}`**. `{bundle.reference.name}` comes first and last: how its
   two times differ tells how much the device slowed down meanwhile. Where they differ by more than 5 %, let it cool,
   and time all again.
3. One image at a time (batch 1). Run each network at least 10 times before you begin to count (warm-up), then at least
   50 times that count.
4. Note the **median** of the runs that count, in **milliseconds**, in the column `latency_ms`. Where the tool shows a
   mean alone, note that; the same figure for all networks.
5. Leave the others empty. A network that the runtime cannot run stays empty as well.

A cell may name its unit (`850 us`), and so may the column (`latency_us`, `latency_s`). Change nothing else:
the checksums say which file a row is of.

{"".join(_HOW[name](device) for name in bundle.formats)}
## Back again

Bring `{TIMINGS_FILE}` back into this folder, beside `manifest.json`, and run

```sh
nas lut import {TIMINGS_FILE} --device {bundle.device}
```

From {least} timed networks on, the reference among them, that makes the table of the device; more of
them make it better. You may import what you have, and import the same file again when there is more in it.
"""


def _onnx(device: Device) -> str:
    threads = f" -x {device.threads} -y 1" if device.threads else ""
    return f"""\
### ONNX Runtime

A command line tool of ONNX Runtime, on the device:

```text
onnxruntime_perf_test -I -r 100 -e cpu{threads} NETWORK.onnx
```

prints `P50 Latency` in seconds: 0.0125 s is 12.5 ms. On Android put the files to `/data/local/tmp` with
`adb push`, and run it with `adb shell`.

Where Python with `onnxruntime` and `numpy` runs on the device, this fills in `{TIMINGS_FILE}`, in this folder, after
each network; stopped and started again it goes on with the rows that are empty:

```python
{_onnx_script(device.threads)}```

"""


def _onnx_script(threads: int) -> str:
    """A program that times the ONNX files of the folder that it runs in and fills in the CSV file, row by row: stopped
    and started again it goes on."""
    return f"""\
import csv
import os
import statistics
import time

import numpy
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = {threads}
with open("{TIMINGS_FILE}", newline="") as file:
    rows = list(csv.DictReader(file))
for row in rows:
    if row["format"] != "onnx" or row["latency_ms"]:
        continue
    try:
        session = onnxruntime.InferenceSession(row["file"], options, providers=["CPUExecutionProvider"])
        image = {{i.name: numpy.zeros(i.shape, numpy.float32) for i in session.get_inputs()}}
        runs = []
        for _ in range(60):
            start = time.perf_counter()
            session.run(None, image)
            runs.append(1e3 * (time.perf_counter() - start))
    except Exception as error:
        print(row["network"], "stays empty:", error)
        continue
    row["latency_ms"] = f"{{statistics.median(runs[10:]):.5g}}"
    print(row["network"], row["latency_ms"], "ms")
    with open("{TIMINGS_FILE}-part", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    os.replace("{TIMINGS_FILE}-part", "{TIMINGS_FILE}")
"""


def _litert(device: Device) -> str:
    threads = f" --num_threads={device.threads}" if device.threads else ""
    return f"""\
### LiteRT

`benchmark_model` of LiteRT (TensorFlow Lite), on Android:

```text
adb push benchmark_model litert /data/local/tmp
adb shell chmod +x /data/local/tmp/benchmark_model
adb shell "cd /data/local/tmp; ./benchmark_model --graph=litert/NETWORK.tflite{threads} --warmup_runs=10 --num_runs=50"
```

with `--use_gpu=true` for the GPU, or your accelerator's delegate. It prints `Inference timings in us`, which are
**microseconds**. Note its `Inference (avg)`, or the `median` of newer versions, divided by 1000; or call the column
`latency_us`, and note what it prints.

"""


def _coreml(device: Device) -> str:
    return f"""\
### Core ML

Open a package in Xcode on a Mac, connect the device, choose the tab *Performance*, then `+`, the device, and the
compute units ({device.compute_unit}). Note the median of *Prediction* in ms; *Load* and *Compilation* do not count. The
report also says which unit ran each layer: a network of which parts fall back to another unit is timed as it is.

"""


_HOW = {"onnx": _onnx, "litert": _litert, "coreml": _coreml}
