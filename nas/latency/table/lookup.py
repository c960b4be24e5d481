"""The lookup tables of other tools, read as rows for our segments.

Such a table maps a layer's text (`nas.latency.table.layer_texts`) to figures of its timings
(`nas.latency.table.timings`). The parts of a head are one segment here, whose time is their sum.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from nas.errors import InputError
from nas.latency.table.layer_texts import (
    OFA,
    BlockText,
    Form,
    PlainText,
    block_segment,
    convolution_segment,
    head_segment,
    nearest_text,
    parse_block,
    parse_plain,
)
from nas.latency.table.rows import shortened
from nas.latency.table.timings import TimedText, Timing, read_timed_texts

ACTIVATIONS = ("relu", "hswish")
"""What the blocks of a table may have that does not say it."""
ASSUMED_SPREAD = 0.05
"""Standard deviation over mean where a file gives none: twice what is usual in a phone's table."""
_NORMAL_95 = 1.6449
"""The 95th percentile of the standard normal distribution: a central 90 % interval is this many deviations each way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupRow:
    """A segment's timings: `count` of them (None: the file does not say), their mean, and their standard deviation
    (None: likewise); `names` are the file's own texts."""

    segment: str
    names: tuple[str, ...]
    count: int | None
    mean_ms: float
    std_ms: float | None

    def interval_ms(self) -> tuple[float, float]:
        """The central 90 % interval of one timing, symmetric in the logarithm: mean times exp(±1.645 std / mean).

        Not that of the mean: hundreds of timings make it narrow, but it speaks of the averages of one session alone.
        Where the file gives no deviation it is `ASSUMED_SPREAD` of the mean.
        """
        relative = ASSUMED_SPREAD if self.std_ms is None else self.std_ms / self.mean_ms
        spread = math.exp(_NORMAL_95 * relative)
        return self.mean_ms / spread, self.mean_ms * spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A row that was not taken: its text, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupTable:
    """The rows of one file, and those that were refused; `form` is whose texts it has; `image_size` is the stem's
    input, None where the file has no stem or several sizes."""

    path: Path
    form: str
    image_size: int | None
    rows: tuple[LookupRow, ...]
    refused: tuple[Refused, ...]


class _Part(NamedTuple):
    """A plain layer and its timing."""

    text: PlainText
    timing: Timing


def read_lookup_table(path: Path, activations: Sequence[str] = ()) -> LookupTable:
    """The table in the file at `path` (YAML, JSON or CSV); `activations` (of `ACTIVATIONS`) are those of its blocks
    where their texts do not say it: a row for each of them.

    A row is refused by itself where its text is none that is known, or no layer of ours: an output that its input does
    not give, a skip connection where our block has none or the reverse, a part of a head without the others; nobody
    looks at its figures. Raises `InputError` naming the file for what `nas.latency.table.timings` refuses, for two rows
    of one segment with different figures, for blocks of unknown activation where `activations` is empty, and where all
    rows are refused.
    """
    found = _Rows(path, activations)
    parts: list[_Part] = []
    forms: Counter[Form] = Counter()
    for row in read_timed_texts(path):
        if plain := parse_plain(row.name):
            parts.append(_Part(plain, row.timing()))
            continue
        try:
            block = parse_block(row.name)
            if block is None:
                found.refuse(row, f"no text that is known; nearest: {nearest_text(row.name)}")
            else:
                found.add_block(block, row.timing())
                forms[block.form] += 1
        except ValueError as error:
            found.refuse(row, str(error))
    form = forms.most_common(1)[0][0] if forms else OFA
    for part in parts:
        if part.text.name in ("Conv", "Conv_1"):
            found.add_convolution(part, form.plain_act)
    found.add_heads(parts, form.plain_act)
    if not found.rows:
        raise InputError(
            f"{path} must hold rows that are layers here, but all {len(found.refused)} are refused:"
            f" {'; '.join(map(str, found.refused))}."
        )
    sizes = {part.text.input[1] for part in parts if part.text.name == "Conv"}
    return LookupTable(
        path=path,
        form=form.name,
        image_size=sizes.pop() if len(sizes) == 1 else None,
        rows=tuple(found.rows.values()),
        refused=tuple(found.refused),
    )


@dataclass(slots=True)
class _Rows:
    """What has become of a file's rows so far."""

    path: Path
    activations: Sequence[str]
    rows: dict[str, LookupRow] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)

    def refuse(self, row: Timing | TimedText, reason: str) -> None:
        self.refused.append(Refused(name=row.name, reason=reason))

    def add_block(self, block: BlockText, timing: Timing) -> None:
        """A row for each activation that the block may have. Raises `ValueError` for a layer that does not fit."""
        acts = self.activations if block.act is None else (block.act,)
        if not acts:
            raise InputError(
                f"{timing.where}: a block must have a known activation, but {block.form.name}'s texts do not say it"
                " (MobileNetV3 has ReLU in its early stages and h-swish in the later ones); name it: --activation relu,"
                " --activation hswish, or both for rows of each."
            )
        for act in acts:
            self._add([timing], block_segment(block, act))

    def add_convolution(self, part: _Part, act: str) -> None:
        try:
            self._add([part.timing], convolution_segment(part.text, act))
        except ValueError as error:
            self.refuse(part.timing, str(error))

    def add_heads(self, parts: Sequence[_Part], act: str) -> None:
        """A row for each chain of pooling, linear layer and classifier, the linear layer being optional; or of a
        classifier that holds the pooling."""
        head = [part for part in parts if part.text.name in ("AvgPool2D", "Conv_2", "Logits")]
        chained: set[str] = set()
        for chain in _chains(head):
            try:
                self._add([part.timing for part in chain], head_segment([part.text for part in chain], act))
            except ValueError as error:
                self.refuse(chain[-1].timing, str(error))
            chained.update(part.timing.name for part in chain)
        for part in head:
            if part.timing.name not in chained:
                self.refuse(
                    part.timing,
                    "AvgPool2D, Conv_2 and Logits must follow one another in the same file, as they are one segment"
                    " here, but this one lacks neighbours of its width",
                )

    def _add(self, timings: Sequence[Timing], segment: str) -> None:
        """One row of parts in sequence: deviations add up fully, as one phone's errors are common to its parts."""
        counts = [timing.count for timing in timings if timing.count is not None]
        deviations = [timing.std_ms for timing in timings if timing.std_ms is not None]
        complete = len(deviations) == len(timings)
        row = LookupRow(
            segment=segment,
            names=tuple(timing.name for timing in timings),
            count=min(counts) if len(counts) == len(timings) else None,
            mean_ms=sum(timing.mean_ms for timing in timings),
            std_ms=sum(deviations) if complete else None,
        )
        first = self.rows.setdefault(segment, row)
        if (first.mean_ms, first.std_ms, first.count) != (row.mean_ms, row.std_ms, row.count):
            raise InputError(
                f"{timings[0].where}: rows of one segment must have the same figures, but {first.names[0]} has others"
                f" for {shortened(segment)}; take one of them out."
            )


def _chains(head: Sequence[_Part]) -> list[list[_Part]]:
    """The chains that end with a classifier: it alone where it reads a map, else with what comes before it."""

    def before(part: _Part, name: str) -> list[_Part]:
        return [other for other in head if other.text.name == name and other.text.output == part.text.input]

    chains = []
    for classifier in (part for part in head if part.text.name == "Logits"):
        if classifier.text.input[1:] != (1, 1):
            chains.append([classifier])
        chains += [[pool, classifier] for pool in before(classifier, "AvgPool2D")]
        for linear in before(classifier, "Conv_2"):
            chains += [[pool, linear, classifier] for pool in before(linear, "AvgPool2D")]
    return chains
