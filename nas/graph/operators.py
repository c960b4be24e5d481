"""Operators as columns: what the latency and accuracy models read.

One row is one operator of the inference form (re-parameterised convolutions merged, batch norm folded), in
order. The vocabulary of `kind`:

========== ============================================================================================
dense      convolution, one group, kernel larger than 1
grp        grouped convolution that is not depthwise
dw         depthwise convolution (one group a channel)
pw         1x1 convolution, also a linear layer over tokens
lin        linear layer, or 1x1 convolution, on a 1x1 map (SE, classifier)
mm         matrix product of two activations (attention)
act:NAME   activation function
gap        global average pooling
pool       maximum pooling; avgpool, average pooling; avgpool:ceil, with a size rounded up and padding counted in the
           averages, for which runtimes have slower code
add, mul   elementwise, of two maps
se_mul     product of a map with one value a channel (or a token) computed from it
scale      product or sum with a learned vector
cat        concatenation; slice, the copy of a part; slice:whole, of all, which some
           runtimes leave out
layout     transposition that moves one axis, padding, tiling; layout:channels, of a map's channels to the last axis, or
           from there; layout:scattered, of more than one axis
reorder    copy of a map into the layout that the next operator reads, which a runtime adds (`nas.runtimes.layouts`)
norm:NAME  normalisation that stays at inference: layer, group or batch
softmax, resize, other:NAME
========== ============================================================================================
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.contents import read_content, text_of, unpacked
from nas.errors import InputError
from nas.figures import entering

INTEGER_COLUMNS = ("kernel", "stride", "groups", "in_channels", "out_channels", "out_height", "out_width")
FLOAT_COLUMNS = ("macs", "input_elements", "output_elements", "weight_elements")
NUMERIC_COLUMNS = INTEGER_COLUMNS + FLOAT_COLUMNS

LAYOUTS = ("layout", "layout:channels", "layout:scattered")
"""The kinds that bring data into another order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTable:
    """Operators of one or more networks as columns, all of shape (n,).

    `kernel` is the larger side, `macs` counts multiply-adds of convolutions, linear layers and matrix products, element
    counts are per image. `in_channels` is 0 where there are no weights, but for cat it is the greatest common divisor
    of the parts' channels, for slice the channels of the whole, for layout how many neighbouring elements stay so, for
    norms, softmax, scale and se_mul how many are worked at once.
    """

    kind: NDArray[np.str_]
    kernel: NDArray[np.float64]
    stride: NDArray[np.float64]
    groups: NDArray[np.float64]
    in_channels: NDArray[np.float64]
    out_channels: NDArray[np.float64]
    out_height: NDArray[np.float64]
    out_width: NDArray[np.float64]
    macs: NDArray[np.float64]
    input_elements: NDArray[np.float64]
    output_elements: NDArray[np.float64]
    weight_elements: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.kind)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64] | slice) -> OperatorTable:
        """The rows at `rows` (a mask, positions or a slice)."""
        return OperatorTable(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @classmethod
    def from_rows(cls, rows: Sequence[tuple[str | float, ...]]) -> OperatorTable:
        """A table from tuples (kind, then `NUMERIC_COLUMNS` in their order)."""
        kinds = np.array([row[0] for row in rows], dtype=np.str_)
        numbers = np.array([row[1:] for row in rows], dtype=np.float64).reshape(len(rows), len(NUMERIC_COLUMNS))
        return cls(kind=kinds, **{name: numbers[:, i] for i, name in enumerate(NUMERIC_COLUMNS)})

    @classmethod
    def concatenate(cls, tables: Sequence[OperatorTable]) -> OperatorTable:
        """All rows of `tables`, in order."""
        if not tables:
            return cls.from_rows([])
        return cls(**{f.name: np.concatenate([getattr(t, f.name) for t in tables]) for f in fields(cls)})


def as_traced(table: OperatorTable) -> OperatorTable:
    """The operators as tracers list them: no slices and no reorders, one kind each of pooling and of norms, nothing of
    what stays together in cat and layout."""
    found = table.select(~np.isin(table.kind, ("slice", "slice:whole", "reorder")))
    kind = found.kind
    for start, name in (("avgpool", "pool"), ("norm", "norm")):
        kind = np.where(np.char.startswith(kind, start), name, kind)
    kind = np.where(np.isin(kind, LAYOUTS), LAYOUTS[0], kind)
    unlearned = np.isin(kind, ("cat", LAYOUTS[0], "norm", "softmax", "scale", "se_mul"))
    return replace(found, kind=kind, in_channels=np.where(unlearned, 0.0, found.in_channels))


_FORM = "a readable operator list (CSV or gzip of it)"
_LONGEST_KIND = 200


def read_operator_lists(path: Path) -> dict[str, OperatorTable]:
    """Network name → its operators, from a CSV file (gzip by its suffix) with a `network` column.

    Raises `InputError` naming file, row and column for a missing column or a value that is no finite number.
    """
    content = unpacked(path, _FORM) if path.suffix == ".gz" else read_content(path, _FORM)
    rows: dict[str, list[tuple[str | float, ...]]] = {}
    try:
        reader = csv.DictReader(io.StringIO(text_of(content, path, _FORM), newline=""))
        missing = {"network", "kind", *NUMERIC_COLUMNS} - set(reader.fieldnames or ())
        if missing:
            raise InputError(f"{path} must have the columns of an operator list, but lacks {sorted(missing)}.")
        for number, record in enumerate(reader, start=2):
            rows.setdefault(record["network"], []).append(_row(record, path, number))
    except csv.Error as error:
        raise InputError(f"{path} must be {_FORM}, but: {error}; get the whole file.") from error
    return {name: OperatorTable.from_rows(found) for name, found in rows.items()}


def _row(record: Mapping[str, str], path: Path, number: int) -> tuple[str | float, ...]:
    kind, network = record["kind"], record["network"]
    if not kind or not network or len(kind) > _LONGEST_KIND:
        raise InputError(f"{path}, row {number}: network and kind must be given, but got {network!r}, {kind!r}.")
    values: list[str | float] = [kind]
    for column in NUMERIC_COLUMNS:
        value = entering(record[column])
        if not value >= 0:
            raise InputError(
                f"{path}, row {number}: {column} must be a number of at least 0, but got {record[column]!r}."
            )
        values.append(value)
    return tuple(values)


def write_operator_lists(path: Path, lists: Iterable[tuple[str, OperatorTable]]) -> None:
    """Write operator lists so that `read_operator_lists` gives them back; same content, same bytes."""
    path.write_bytes(packed_operator_lists(lists))


def packed_operator_lists(lists: Iterable[tuple[str, OperatorTable]]) -> bytes:
    """What `write_operator_lists` writes."""
    raw = io.BytesIO()
    with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed:
        packed.write((",".join(("network", "index", "kind", *NUMERIC_COLUMNS)) + "\n").encode())
        for name, table in lists:
            for i in range(len(table)):
                numbers = ",".join(f"{getattr(table, column)[i]:.12g}" for column in NUMERIC_COLUMNS)
                packed.write(f"{name},{i},{table.kind[i]},{numbers}\n".encode())
    return raw.getvalue()
