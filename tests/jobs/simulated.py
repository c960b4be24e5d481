"""A workspace whose device `local` is simulated: builds, checks and searches of it take no time but their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from nas.measure.plan import Item, probe_item
from nas.runtimes import OWN, Runtime
from nas.space import Architecture, known_network
from nas.space.resolution import Resolution
from tests.measure.devices import SimulatedRunner, simulate_clock_and_files


def write_space(workspace: Path, document: dict[str, Any]) -> str:
    """Write a space to the workspace; its name."""
    place = workspace / "search_spaces" / f"{document['name']}.yaml"
    place.parent.mkdir(exist_ok=True)
    place.write_text(yaml.safe_dump(document), encoding="utf-8")
    return str(document["name"])


def few_generic_items(runtime: Runtime = OWN, seed: int = 0, sizes: Sequence[Resolution] = ()) -> list[Item]:
    """Some probes in place of hundreds of generic networks."""
    return [probe_item(f"probe-{number}", runtime) for number in range(seed, seed + 8)]


def few_known_networks() -> list[Architecture]:
    """Some known networks in place of all."""
    return [known_network(name) for name in ("mobilenetv1-0.25", "mobilenetv2-0.35", "shufflenetv2-0.5")]


def simulate(patch: pytest.MonkeyPatch, workspace: Path, runner: SimulatedRunner) -> None:
    """From now on `runner` times whatever is to be timed on a device that is reached."""
    patch.setenv("NAS_WORKSPACE", str(workspace))
    patch.setattr("nas.measure.plan._POOL", 100)
    patch.setattr("nas.measure.stopwatch.find_runner", lambda home: runner)
    patch.setattr("nas.jobs.search_verify.find_runner", lambda home: runner)
    patch.setattr("nas.jobs.lut_build.find_runner", lambda home: runner)
    patch.setattr("nas.jobs.lut_build.generic_items", few_generic_items)
    patch.setattr("nas.jobs.lut_build.further_items", lambda runtime: ())
    patch.setattr("nas.measure.few._POOL", 60)
    patch.setattr("nas.measure.few.known_networks", few_known_networks)
    simulate_clock_and_files(patch, runner)
