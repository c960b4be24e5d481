"""The table of a device, fitted to its timings: what is written, and how well networks left out are predicted."""

from __future__ import annotations

import datetime
import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from threadpoolctl import threadpool_limits

from nas.files import write_bytes
from nas.latency.day import (
    BATCH_SPREAD,
    BATCHES,
    HALF,
    PROCESS_SPREAD,
    REFERENCE_MS,
    batch_spread,
    level_spread,
    process_spread,
)
from nas.latency.device import DEVICE_FILE, Device
from nas.latency.home import DeviceHome
from nas.latency.model import COEFFICIENTS_FILE, TABLE_FILE
from nas.latency.published.cost_model import Floats
from nas.latency.table.rows import TableRow, table_text
from nas.latency.timed.regression import Regression, fit_networks
from nas.measure.drift import CALM, at_usual_speed, slowness, usual_ms
from nas.measure.plan import space_keys
from nas.measure.store import REFERENCE, VERIFIED, StoredSegment, StoredTiming
from nas.space.load import SPACE_FILE, reference_of
from nas.space.search_space import SearchSpace

TIMINGS_SHA256 = "timings_sha256"
"""The key of a table's manifest that tells which timings it was fitted to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltTable:
    """A finished build: the folder of its files, the fit, how much of the space (`space_reference` is what `--space`
    takes for it) has rows, and the networks that could not be timed (name → reason)."""

    folder: Path
    regression: Regression
    networks: int
    space: str
    space_reference: str
    space_segments: int
    covered: int
    faults: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """What was built, and how networks left out of the fit were predicted."""
        model = self.regression.operators
        return {
            "device": model.manifest["device"],
            "folder": str(self.folder),
            "networks": self.networks,
            "rows": len(self.regression.segments.keys),
            "space": self.space,
            "space_segments": self.space_segments,
            "covered": self.covered,
            "left_out": dict(model.manifest["scores"]),
            "half_width": self.half_width,
            "half_width_any_day": self.half_width_any_day,
            "faults": dict(self.faults),
            "manifest": dict(model.manifest),
        }

    @property
    def half_width(self) -> float:
        """Half of the 90 % interval, of log latency, of a network all of whose segments have rows, at the table's
        speed."""
        return self.regression.operators.floor

    @property
    def half_width_any_day(self) -> float:
        """The same in some process on some day, as far as the batches of the build tell what those are apart."""
        spread = level_spread(self.regression.operators.manifest, ())
        return float(np.hypot(self.half_width, HALF * spread.any_day))


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a fit takes of a network that was timed: its time, the number of the batch that shares a moment of the
    machine with it, and how much slower than usual that was."""

    role: str
    segments: tuple[StoredSegment, ...]
    latency_ms: float
    batch: int
    slow: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """All that a fit takes of the timings of a device; `usual` is the reference's time in ms at the machine's usual
    speed, and `slow` how far each batch of the build was from it (batches,)."""

    each: tuple[Observation, ...]
    usual: float
    slow: Floats

    @classmethod
    def of(cls, timings: Sequence[StoredTiming]) -> Observations:
        """The observations in `timings`.

        A batch is as slow as the reference in it says. What was verified is one observation a network, at the usual
        speed: the mean over its processes, which share no moment of the machine, so each is a batch of its own.
        """
        verified = {timing.batch for timing in timings if timing.role == VERIFIED}
        reference = _reference_ms(timings)
        built = [number for number in reference if number not in verified]
        usual = usual_ms([reference[number] for number in built])
        slow = slowness([reference[number] for number in built], usual)
        by_batch = dict(zip(built, slow.tolist(), strict=True))
        each = [
            Observation(
                role=timing.role,
                segments=timing.segments,
                latency_ms=timing.latency_ms,
                batch=timing.batch,
                slow=by_batch[timing.batch],
            )
            for timing in timings
            if timing.batch not in verified
        ]
        own: dict[str, list[StoredTiming]] = {}
        for timing in timings:
            if timing.role == VERIFIED:
                own.setdefault(timing.digest, []).append(timing)
        for number, processes in enumerate(own.values(), start=1):
            times = np.array([[timing.latency_ms] for timing in processes])
            # Where a summary alone was kept, it was brought to the usual speed before, and no reference is beside it.
            beside = np.array([reference.get(timing.batch, usual) for timing in processes])
            _, mean, _ = at_usual_speed(times, beside, usual)
            last = processes[-1]
            each.append(
                Observation(role=VERIFIED, segments=last.segments, latency_ms=float(mean[0]), batch=-number)
            )  # fmt: skip
        return cls(each=tuple(each), usual=usual, slow=slow)


def timings_digest(timings: Sequence[StoredTiming]) -> str:
    """The SHA-256 of what a fit takes of `timings`: a table that has it is the table of these."""
    lines = (f"{timing.batch} {timing.role} {timing.digest} {timing.latency_ms!r}\n" for timing in timings)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _reference_ms(timings: Sequence[StoredTiming]) -> dict[int, float]:
    """The reference's time in each batch that has one, in ms: the mean, where it was timed before and behind."""
    found: dict[int, list[float]] = {}
    for timing in timings:
        if timing.role == REFERENCE:
            found.setdefault(timing.batch, []).append(timing.latency_ms)
    return {number: sum(times) / len(times) for number, times in found.items()}


def fit_table(
    home: DeviceHome,
    space: SearchSpace,
    timings: Sequence[StoredTiming],
    environment: Mapping[str, str],
    *,
    faults: Mapping[str, str] | None = None,
) -> BuiltTable:
    """Fit the table of a device to `timings`, and write its files to the workspace's own folder of it: with the file of
    the space, which a later fit reads.

    The same timings give the same bytes on the same machine and day. Raises `InputError` for fewer timings than a fit
    needs.
    """
    found = Observations.of(timings)
    today = datetime.date.today().isoformat()
    roles = [observation.role for observation in found.each]
    networks = sum(role != REFERENCE for role in roles)
    manifest = {
        "device": home.name,
        "date": today,
        "environment": dict(environment),
        "space": space.name,
        "networks": networks,
        REFERENCE_MS: found.usual,
        BATCHES: len(found.slow),
        BATCH_SPREAD: batch_spread(found.slow),
        PROCESS_SPREAD: process_spread(found.slow),
        "calm_batches": f"{int((np.abs(found.slow) <= CALM).sum())} of {len(found.slow)}",
        "roles": {role: roles.count(role) for role in sorted(set(roles))},
        "split": "interval: networks left out one at a time",
        "features": "operator columns of nas.graph.operators",
        TIMINGS_SHA256: timings_digest(timings),
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
    }
    regression = _fitted(found.each, manifest)
    rows = table_rows(regression, today)
    keep_space(home, space)
    write_bytes(home.own_folder / DEVICE_FILE, device_text(home.device, environment, today))
    write_bytes(home.own_folder / COEFFICIENTS_FILE, regression.operators.to_json().encode())
    write_bytes(home.own_folder / TABLE_FILE, table_text(rows).encode())
    keys = space_keys(space)
    return BuiltTable(
        folder=home.own_folder,
        regression=regression,
        networks=networks,
        space=space.name,
        space_reference=reference_of(space),
        space_segments=len(keys),
        covered=len(keys & set(regression.segments.keys)),
        faults=faults or {},
    )


def keep_space(home: DeviceHome, space: SearchSpace) -> None:
    """Put the file of `space` beside the table that is for it; a space that comes from no file leaves none."""
    source, kept = Path(space.source), home.own_folder / SPACE_FILE
    if source.is_file():
        write_bytes(kept, source.read_bytes())
    else:
        kept.unlink(missing_ok=True)


def _fitted(each: Sequence[Observation], manifest: dict[str, Any]) -> Regression:
    """The fit, with its scores on networks left out in the manifest."""
    slow = np.array([observation.slow for observation in each])
    own = np.array([observation.role not in (REFERENCE, "known", "probe") for observation in each])
    with threadpool_limits(limits=1, user_api="blas"):
        found = fit_networks(
            [observation.segments for observation in each],
            np.array([observation.latency_ms for observation in each]),
            np.array([observation.batch for observation in each]),
            manifest,
            typical=own & (np.abs(slow) <= CALM),
            slowness=slow,
            sure=np.array([observation.role == VERIFIED for observation in each]),
        )
    scores = {"rows": scores_of(found.left_out), "operators": scores_of(found.left_out_operators)}
    return replace(found, operators=replace(found.operators, manifest={**found.operators.manifest, "scores": scores}))


def scores_of(log_errors: Floats) -> dict[str, float]:
    """The median error and the shares within 5 and 10 %, of log(predicted / measured) (n,)."""
    errors = np.abs(np.expm1(log_errors))
    return {
        "median": float(np.median(errors)),
        "within_5_percent": float((errors <= 0.05).mean()),
        "within_10_percent": float((errors <= 0.1).mean()),
    }


def table_rows(found: Regression, date: str) -> list[TableRow]:
    """A row for each segment that was timed in a network, with its interval; sorted by key."""
    segments = found.segments
    spread = np.exp(1.645 * segments.log_sd)
    rows = [
        TableRow(
            segment=key,
            mean_ms=float(f"{segments.mean_ms[i]:.6g}"),
            low_ms=float(f"{segments.mean_ms[i] / spread[i]:.6g}"),
            high_ms=float(f"{segments.mean_ms[i] * spread[i]:.6g}"),
            count=int(segments.networks[i]),
            source="measured",
            date=date,
        )
        for i, key in enumerate(segments.keys)
    ]
    return sorted(rows, key=lambda row: row.segment)


def device_text(device: Device, environment: Mapping[str, str], date: str) -> bytes:
    """The device file with what the measuring found: chip, runtime, date."""
    own = device.as_json()
    notes = "; ".join(f"{name} {value}" for name, value in environment.items() if name not in own)
    record = replace(
        device,
        chip=environment.get("chip", device.chip),
        runtime=environment.get("runtime", device.runtime),
        date=date,
        notes=notes or device.notes,
    ).as_json()
    kept = {name: value for name, value in record.items() if value != ""}
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=120).encode()
