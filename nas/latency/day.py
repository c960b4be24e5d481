"""How far a device's speed strays from the one that its table is for, from process to process and from day to day.

A table is of the device as it usually was while the table was built. A process that is started later finds it slower
or faster: `LevelSpread.process` is what processes of the same minute are apart, `LevelSpread.day` what hours and days
are apart beyond that. Both are deviations of the logarithm. The first comes of the batches of the build, the second of
how far these wandered and of the looks at the device since then, which are kept beside the table; each is shrunk
towards what is usual where there are few.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from nas.contents import read_content, text_of
from nas.errors import InputError
from nas.figures import entering
from nas.files import write_bytes
from nas.latency.published.cost_model import Floats

LEVELS_FILE = "levels.csv"
COLUMNS = ("time", "level", "reference_ms")
BATCHES, BATCH_SPREAD, PROCESS_SPREAD = "batches", "batch_spread", "process_spread"
REFERENCE_MS = "reference_ms"
"""The keys of a table's manifest: how many batches, how far the reference strayed over all of them, and within a
minute; its usual time in ms."""
HALF = 1.645
"""Half of a normal distribution's 90 % interval, in its deviations."""
PROCESS, _DAY_OVER_PROCESS = 0.02, 2.0
"""What is usual: tables of shared machines had batches 1.2 to 3.0 % apart, and the same machines were 0.4 to 6.3 % off
on other days, or within the hour (benchmarks/repeatability.md, local-mobile.md, another_day.md)."""
_BATCHES_WORTH, _LOOKS_WORTH = 4.0, 2.0
"""As how many batches, and how many looks, what is usual counts."""
_PROCESSES_A_LOOK = 3.0
_LATER = 16
"""Processes from a look at a device to what is timed behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look at a device found: when (UTC, ISO), how many times as long as by the table everything took, and the
    reference network's usual time of that table, in ms."""

    time: str
    level: float
    reference_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSpread:
    """Deviations of the logarithm of a device's speed: between processes of a minute, and between hours and days."""

    process: float = 0.0
    day: float = 0.0

    @property
    def any_day(self) -> float:
        """That of a single process on a day that nobody has looked at."""
        return float(np.hypot(self.process, self.day))


def batch_spread(slow: Floats) -> float:
    """How far batches (n,) stray from the usual speed (`nas.measure.drift.slowness`), as a deviation: half of what
    their central nine tenths span. A few that something disturbed do not count."""
    return _spread(np.log1p(slow))


def process_spread(slow: Floats) -> float:
    """How far batches stray from those of a minute or so before, as a deviation: what is left of `batch_spread` where
    the machine's speed wanders slowly. `slow` (n,) is in their order; a few batches do not tell the two apart."""
    if len(slow) < 2 * _LATER:
        return batch_spread(slow)
    logs = np.log1p(slow)
    return _spread(logs[_LATER:] - logs[:-_LATER]) / math.sqrt(2.0)


def _spread(logs: Floats) -> float:
    low, high = np.quantile(logs, [0.05, 0.95])
    return float(high - low) / (2.0 * HALF)


def level_spread(manifest: Mapping[str, Any], looks: Sequence[Look]) -> LevelSpread:
    """The spread of a table that was built here, by its manifest and the looks since then; none of any other table,
    whose interval is told otherwise.

    Looks of one hour count as one, by the mean of their squares. A look that was held against an earlier table of the
    device is brought to this one by the reference.
    """
    usual = manifest.get(REFERENCE_MS)
    if not isinstance(usual, float) or not usual > 0.0:
        return LevelSpread()
    batches, spread, whole = _batches(manifest)
    process = np.sqrt((_BATCHES_WORTH * PROCESS**2 + batches * spread**2) / (_BATCHES_WORTH + batches))
    hours: dict[str, list[float]] = {}
    for look in looks:
        hours.setdefault(look.time[:13], []).append(float(np.log(look.level * look.reference_ms / usual)) ** 2)
    own = process**2 / _PROCESSES_A_LOOK
    days = sum(max(float(np.mean(found)) - own, 0.0) for found in hours.values())
    prior = max((_DAY_OVER_PROCESS * process) ** 2, whole**2 - spread**2)
    day = np.sqrt((_LOOKS_WORTH * prior + days) / (_LOOKS_WORTH + len(hours)))
    return LevelSpread(process=float(process), day=float(day))


def likely_level(level: float, error: float, spread: LevelSpread) -> tuple[float, float]:
    """The level that a device most likely has after a look that found `level`, with a standard `error` of its
    logarithm; and the deviation of that logarithm.

    A look takes a minute, and the next one is another: it strays from the level of the hour by its error and by what
    minutes are apart (`process`), and is drawn towards 1 by as much as that is against what days are apart. A level
    farther off than days usually are says that this is no usual day, and is drawn less. (A normal mean with a normal
    prior, the prior's deviation no less than what was found.)
    """
    noise = error**2 + spread.process**2
    day = max(spread.day**2, math.log(level) ** 2)
    kept = day / (day + noise) if noise > 0.0 else 1.0
    return level**kept, math.sqrt(kept * noise)


def _batches(manifest: Mapping[str, Any]) -> tuple[int, float, float]:
    """How many batches a table was built of, how far they strayed within a minute, and all in all; none where it does
    not tell, or had one."""
    count, whole = manifest.get(BATCHES), manifest.get(BATCH_SPREAD)
    spread = manifest.get(PROCESS_SPREAD, whole)
    if isinstance(count, int) and count > 1 and _is_spread(whole) and _is_spread(spread):
        return count, spread, whole
    return 0, 0.0, 0.0


def _is_spread(value: object) -> TypeGuard[float]:
    return isinstance(value, float) and 0.0 <= value < 10.0


def read_looks(path: Path) -> list[Look]:
    """The looks in the file at `path`; none where it is not there.

    Raises `InputError` naming file and row for another form, and for figures that are no positive finite numbers.
    """
    if not path.exists():
        return []
    form, remedy = "a list of looks at a device (CSV)", "restore it, or remove it"
    text = text_of(read_content(path, form, remedy=remedy), path, form, remedy=remedy)
    try:
        rows = list(csv.reader(text.splitlines(), strict=True)) or [[]]
    except csv.Error as error:
        raise InputError(f"{path} must be {form}, but: {error}; {remedy}.") from error
    if tuple(rows[0]) != COLUMNS:
        raise InputError(f"{path}, row 1: columns must be {','.join(COLUMNS)}, but are {','.join(rows[0])}; {remedy}.")
    return [_look(cells, f"{path}, row {number}", remedy) for number, cells in enumerate(rows[1:], start=2)]


def _look(cells: Sequence[str], where: str, remedy: str) -> Look:
    numbers = [entering(cell) for cell in cells[1:]]
    if len(cells) != len(COLUMNS) or not all(1e-6 < number < 1e9 for number in numbers):
        raise InputError(f"{where}: must be a time, a level and ms above 0, but is {','.join(cells)!r}; {remedy}.")
    return Look(time=cells[0], level=numbers[0], reference_ms=numbers[1])


def add_look(folder: Path, look: Look) -> None:
    """Keep a look beside the table in `folder`. Raises as `read_looks` does."""
    path = folder / LEVELS_FILE
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in [*read_looks(path), look]:
        writer.writerow([one.time, f"{one.level:.6g}", f"{one.reference_ms:.6g}"])
    write_bytes(path, stream.getvalue().encode())
