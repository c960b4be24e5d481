"""Times Core ML packages on an iPhone or iPad that is connected to this Mac, through coremltools' own benchmarking.

A process reads one JSON object on stdin and answers as `nas.runners.worker` does, a JSON object a line:

    {"ask": "describe", "udid": "…"}                        {"device": {"name", "type", "udid", "system"}}
    {"ask": "time", "udid": "…", "team": "…", "files": …}   {"loading": 0}, …, {"loading": null}, {"results": […]}

and, where the device or the tools are not as they must be, {"refused": text} alone. coremltools builds, signs and
starts an app of its own on the device, which runs the packages; each run is a call to it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_UNITS = {"CPU": "CPU_ONLY", "GPU": "CPU_AND_GPU", "Neural Engine": "CPU_AND_NE"}
_SYSTEMS = {"iphone": "iOS", "ipad": "iPadOS"}
Say = Callable[[dict[str, Any]], None]


class RefusedError(Exception):
    """What must be so, and is not."""


def connected(udid: str) -> Any:
    """The connected device of that identifier; of any, where there is one alone and none is asked for."""
    try:
        from coremltools.models.ml_program.experimental import remote_device
    except ImportError as error:
        raise RefusedError(
            "coremltools must be 8.3 or newer to time a connected device, but this one has no"
            f" ml_program.experimental.remote_device ({error}); `pip install -U coremltools`."
        ) from error
    kinds = remote_device.DeviceType
    found = [
        device for kind in (kinds.IPHONE, kinds.IPAD) for device in remote_device.Device.get_connected_devices(kind)
    ]  # fmt: skip
    there = ", ".join(f"{device.name} ({device.udid})" for device in found) or "none"
    found = [device for device in found if udid in ("", device.udid)]
    if len(found) != 1:
        raise RefusedError(
            f"one iPhone or iPad must be connected, unlocked and in developer mode{f' ({udid})' if udid else ''}, but"
            f" there are: {there}; connect it, or name it: udid in device.yaml."
        )
    return found[0]


def described(device: Any) -> dict[str, str]:
    """What a device is."""
    kind = str(device.type.value)
    system = f"{_SYSTEMS.get(kind, kind)} {device.os_version}"
    return {"name": str(device.name), "type": kind, "udid": str(device.udid), "system": system}


async def answer(request: dict[str, Any], say: Say) -> None:
    """Do what is asked."""
    device = connected(request["udid"])
    if request["ask"] == "describe":
        say({"device": described(device)})
        return
    from coremltools.models.ml_program.experimental.remote_device import AppSigningCredentials

    credentials = AppSigningCredentials(
        development_team=request["team"] or None,
        provisioning_profile_uuid=request["profile"] or None,
        bundle_identifier=request["bundle_id"] or None,
    )
    app = Path(tempfile.gettempdir()) / f"nas-modelrunner-{os.getuid()}"  # built once, then reused
    app.mkdir(mode=0o700, exist_ok=True)
    ready = await device.prepare_for_model_debugging(credentials, app)
    await _time(request, ready, say)


async def _time(request: dict[str, Any], device: Any, say: Say) -> None:
    import coremltools
    from coremltools.models.ml_program.experimental.perf_utils import MLModelBenchmarker

    unit = coremltools.ComputeUnit[_UNITS[request["compute_unit"]]]
    benchmarks: dict[int, Any] = {}
    results: list[dict[str, Any]] = [{"wall_ms": [], "cpu_ms": []} for _ in request["files"]]
    for position, path in enumerate(request["files"]):
        say({"loading": position})
        try:
            model = coremltools.models.MLModel(path, compute_units=unit, skip_model_load=True)
            benchmark = MLModelBenchmarker(model=model, device=device)
            loading = await benchmark.benchmark_load(iterations=1)
            warm = await benchmark.benchmark_predict(iterations=int(request["warm_up"]))
        # coremltools raises exceptions of many kinds, without a common base.
        except Exception as error:  # noqa: BLE001
            results[position] = {"error": f"{error}"}
        else:
            benchmarks[position] = benchmark
            results[position] |= {"load_ms": loading.samples[0], "first_ms": warm.samples[0]}
    say({"loading": None})
    for _ in range(int(request["rounds"])):
        for position, benchmark in benchmarks.items():
            found = await benchmark.benchmark_predict(iterations=int(request["runs_a_visit"]), warmup=True)
            results[position]["wall_ms"] += list(found.samples)
    say({"results": results})


def main() -> None:
    """Answer the request on stdin. What the tools print goes to stderr."""
    sys.stdout.flush()
    out = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(out, "w") as stream:

        def say(record: dict[str, Any]) -> None:
            stream.write(json.dumps(record) + "\n")
            stream.flush()

        try:
            asyncio.run(answer(json.load(sys.stdin), say))
        except RefusedError as error:
            say({"refused": f"{error}"})
        # Building, signing and starting the app fails in many ways, with exceptions of as many kinds.
        except Exception as error:  # noqa: BLE001
            say({"refused": f"the device must run coremltools' own app, but: {error}; see `nas` on connected iPhones."})


if __name__ == "__main__":
    main()
