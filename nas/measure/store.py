"""What was timed on a device, in one SQLite file: every batch is there whole or not at all, whenever work is killed.

A timing holds its runs and the segments of its network, so a table can be fitted from the file alone, by a later
statistic too. One program at a time writes to it: a second one is refused, not mixed in.
"""

from __future__ import annotations

import datetime
import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from nas.errors import InputError, NasError
from nas.figures import entering
from nas.files import refused
from nas.graph import OperatorTable
from nas.graph.operators import NUMERIC_COLUMNS
from nas.graph.rows import Row
from nas.latency.device import UNTOLD
from nas.latency.timed.design import TimedSegment
from nas.runners.timing import Summary, Timing
from nas.runtimes import OWN, find_runtime, usual_key

SCHEMA = 5
REFERENCE, VERIFIED = "reference", "verified"
"""The roles of the network that is timed in every batch, and of those that a search verified in several processes."""
MUST_AGREE = ("chip", "runtime", "threads", "precision", "compute_unit", "settle_ms")
"""What of an environment all timings of a file have in common; the last is there where networks settle alone."""
_TIMING = """
CREATE TABLE timing (
    id INTEGER PRIMARY KEY, batch INTEGER NOT NULL REFERENCES batch (id), name TEXT NOT NULL, digest TEXT NOT NULL,
    role TEXT NOT NULL, segments TEXT NOT NULL, wall_ms TEXT, cpu_ms TEXT, summary TEXT,
    CHECK ((wall_ms IS NULL) = (cpu_ms IS NULL) AND (wall_ms IS NULL) != (summary IS NULL))
);
CREATE UNIQUE INDEX once_a_batch ON timing (batch, digest) WHERE role != 'reference';
CREATE UNIQUE INDEX once ON timing (digest) WHERE role NOT IN ('reference', 'verified');
"""
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE segment (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, operators TEXT NOT NULL);
CREATE TABLE batch (id INTEGER PRIMARY KEY, began TEXT NOT NULL, seconds REAL NOT NULL);
"""
"""Batches, their timings, and the segments of these; a timing has its runs as JSON, or a summary."""
_CALLED, _STATE = "batch ", "state of batch "
"""Before the name of a batch, and before the number of one whose state is told, in `meta`."""
_ANEW = "start anew with --restart where `nas lut build` takes them, else remove the file"
"""What to do about a file of timings that is of no use; a bundle's are taken by nothing that could start anew."""
_CONDITIONS_4 = {"threads": "1", "precision": "float32", "compute_unit": "CPU"}
"""How everything was timed while files had schema 4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSegment:
    """A segment as it was timed."""

    key: str
    rows: tuple[Row, ...]

    @property
    def operators(self) -> OperatorTable:
        """The inference operators as columns."""
        return OperatorTable.from_rows(self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTiming:
    """A network's timing: its runs, or a summary where none are known; `batch` numbers the process that it was timed
    in."""

    batch: int
    name: str
    digest: str
    role: str
    segments: tuple[StoredSegment, ...]
    timing: Timing | Summary

    @property
    def latency_ms(self) -> float:
        """The typical time, made of the runs now."""
        return self.timing.typical_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTiming:
    """A timing to be stored, with the segments of its network."""

    name: str
    digest: str
    role: str
    segments: Sequence[TimedSegment]
    timing: Timing | Summary


class TimingStore:
    """The timings of one device in the file at `path`, which is made where it is not there.

    `environment` is where and how the timings are taken (`Stopwatch.environment`); a file of another one is an
    `InputError`, unless all that it holds is to be forgotten (`restart`). A file of schema 4 becomes one of today's,
    whose timings are summaries, and whose segments are those of its runtime; one that was begun before the chip was
    told is of the chip that is told now. A context manager: it holds the file for itself until it is left. Raises
    `NasError` where the file cannot be written, or another program has it.
    """

    def __init__(self, path: Path, environment: Mapping[str, str], *, restart: bool = False) -> None:
        self.path, self._environment = path, dict(environment)
        with self._storing():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=2.0, isolation_level=None)
        try:
            with self._storing():
                self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._connection.execute("PRAGMA synchronous = FULL")
                self._open(environment, restart)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> TimingStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def _open(self, environment: Mapping[str, str], restart: bool) -> None:
        with self._whole():
            if restart:
                for table in ("timing", "batch", "segment", "meta"):
                    self._connection.execute(f"DROP TABLE IF EXISTS {table}")
            found = self._connection.execute("SELECT name FROM sqlite_master WHERE name = 'meta'").fetchone()
            if found is None:
                self._execute(_TABLES + _TIMING)
                rows = {"schema": str(SCHEMA), "environment": json.dumps(dict(environment))}
                self._connection.executemany("INSERT INTO meta VALUES (?, ?)", list(rows.items()))
                return
            meta = dict(self._connection.execute("SELECT name, value FROM meta"))
            if meta.get("schema") == "4":
                meta |= self._from_4(meta)
        _check_schema(self.path, meta.get("schema", ""))
        before = json.loads(meta["environment"])
        if str(before.get("chip", "")).startswith(UNTOLD) and "chip" in environment:  # whose times they were all along
            before["chip"] = environment["chip"]
            self._connection.execute("UPDATE meta SET value = ? WHERE name = 'environment'", (json.dumps(before),))
        for name in MUST_AGREE:
            if before.get(name) != environment.get(name):
                raise InputError(
                    f"{self.path} holds timings of {name} {before.get(name)!r}, but this is {environment.get(name)!r};"
                    f" times of the two must not mix: {_ANEW}."
                )

    def _from_4(self, meta: Mapping[str, str]) -> dict[str, str]:
        """Make of a file of schema 4 one of schema 5; what of `meta` is another now.

        It kept of a network's runs no more than `Timing` makes of them today, which is a summary.
        """
        before = json.loads(meta["environment"])
        if find_runtime(before.get("runtime", "")) == OWN:
            self._leave_out_copies()
        former = self._connection.execute(
            "SELECT id, batch, name, digest, role, segments, latency_ms, spread, runs FROM timing"
        ).fetchall()
        self._execute("DROP TABLE timing;" + _TIMING)
        self._connection.executemany(
            "INSERT INTO timing (id, batch, name, digest, role, segments, summary) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (*kept, json.dumps({"typical_ms": latency_ms, "spread": spread, "count": runs}))
                for *kept, latency_ms, spread, runs in former
            ],
        )
        environment = json.dumps({**before, **_CONDITIONS_4})
        changed = {"schema": str(SCHEMA), "environment": environment}
        self._connection.executemany("UPDATE meta SET value = ? WHERE name = ?", [(v, k) for k, v in changed.items()])
        return changed

    def _leave_out_copies(self) -> None:
        """Make all segments the networks' own: in schema 4 they had ONNX Runtime's copies on every runtime."""
        former = self._connection.execute("SELECT id, key, operators FROM segment ORDER BY id").fetchall()
        own: dict[str, tuple[int, str]] = {}
        for number, key, rows in former:
            kept = json.dumps([row for row in json.loads(rows) if row[0] != "reorder"])
            own.setdefault(usual_key(key), (number, kept))
        self._connection.execute("DELETE FROM segment")
        self._connection.executemany(
            "INSERT INTO segment VALUES (?, ?, ?)", [(number, key, kept) for key, (number, kept) in own.items()]
        )
        now = {number: own[usual_key(key)][0] for number, key, _ in former}
        timings = self._connection.execute("SELECT id, segments FROM timing").fetchall()
        self._connection.executemany(
            "UPDATE timing SET segments = ? WHERE id = ?",
            [(json.dumps([now[number] for number in json.loads(numbers)]), timing) for timing, numbers in timings],
        )

    def _execute(self, statements: str) -> None:
        for statement in statements.split(";"):
            self._connection.execute(statement)

    @contextmanager
    def _storing(self) -> Iterator[None]:
        """Turn what SQLite and the disk refuse into a `NasError` that names the file."""
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise  # our own fault, whatever the disk is like
        except sqlite3.DatabaseError as error:
            if "locked" in str(error):
                raise NasError(f"{self.path} is in use by another build; wait for it, or stop it.") from error
            if "full" in str(error):
                rule, remedy = "be on a disk with room", "free some; what was stored before is kept"
            elif isinstance(error, sqlite3.OperationalError):
                rule, remedy = "be a writable file of timings", "what was stored before is kept"
            else:
                rule, remedy = "be a whole file of timings", f"restore it, or {_ANEW}"
            raise NasError(f"{self.path} must {rule}, but: {error}; {remedy}.") from error
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise NasError(
                f"{self.path} must be a whole file of timings, but holds what none has ({type(error).__name__}:"
                f" {error}); restore it, or {_ANEW}."
            ) from error
        except OSError as error:
            raise refused(self.path, error, elsewhere="choose another --workspace") from error

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """All of the block is stored, or nothing."""
        self._connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def add_batch(
        self,
        timings: Iterable[NewTiming],
        *,
        seconds: float,
        called: str = "",
        state: Mapping[str, str] | None = None,
    ) -> None:
        """Store the timings of one process, which took `seconds` with everything around it; in the place of those that
        are `called` the same, where a name is given. `state` is what the device was like then, such as how warm:
        what of it is no part of the environment is kept."""
        began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        with self._storing(), self._whole():
            former = self._batch_called(called)
            self._connection.execute("DELETE FROM timing WHERE batch = ?", (former,))
            self._connection.execute("DELETE FROM batch WHERE id = ?", (former,))
            batch = self._connection.execute("INSERT INTO batch (began, seconds) VALUES (?, ?)", (began, seconds))
            if called:
                named = (f"{_CALLED}{called}", str(batch.lastrowid))
                self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", named)
            told = {name: value for name, value in (state or {}).items() if name not in self._environment}
            if told:
                row = (f"{_STATE}{batch.lastrowid}", json.dumps(told))
                self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", row)
            for timing in timings:
                ids = [self._segment_id(segment) for segment in timing.segments]
                self._connection.execute(
                    "INSERT INTO timing (batch, name, digest, role, segments, wall_ms, cpu_ms, summary)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        batch.lastrowid, timing.name, timing.digest, timing.role, json.dumps(ids),
                        *_columns(timing.timing),
                    ),
                )  # fmt: skip

    def states(self) -> dict[int, dict[str, str]]:
        """What the device was like in each batch of which that was stored."""
        with self._storing():
            rows = self._connection.execute("SELECT name, value FROM meta WHERE name LIKE ?", (f"{_STATE}%",))
            return {int(name.removeprefix(_STATE)): json.loads(value) for name, value in rows}

    def batch_called(self, name: str) -> int | None:
        """The number of the batch that was stored under a name, None where there is none."""
        with self._storing():
            return self._batch_called(name)

    def _batch_called(self, name: str) -> int | None:
        found = self._connection.execute("SELECT value FROM meta WHERE name = ?", (f"{_CALLED}{name}",)).fetchone()
        return int(found[0]) if found is not None else None

    def _segment_id(self, segment: TimedSegment) -> int:
        found = self._connection.execute("SELECT id FROM segment WHERE key = ?", (segment.key,)).fetchone()
        if found is not None:
            return int(found[0])
        rows = json.dumps(rows_of(segment.operators))
        made = self._connection.execute("INSERT INTO segment (key, operators) VALUES (?, ?)", (segment.key, rows))
        assert made.lastrowid is not None
        return made.lastrowid

    def digests(self) -> set[str]:
        """The digests of the networks that were timed, the reference apart."""
        with self._storing():
            found = self._connection.execute("SELECT digest FROM timing WHERE role != ?", (REFERENCE,))
            return {digest for (digest,) in found}

    def seconds(self) -> float:
        """What all batches took."""
        with self._storing():
            (total,) = self._connection.execute("SELECT coalesce(sum(seconds), 0.0) FROM batch").fetchone()
        return float(total)

    def timings(self) -> list[StoredTiming]:
        """All timings in their order."""
        with self._storing():
            segments = {
                number: StoredSegment(key=key, rows=_rows_in(rows))
                for number, key, rows in self._connection.execute("SELECT id, key, operators FROM segment")
            }
            rows = self._connection.execute(
                "SELECT batch, name, digest, role, segments, wall_ms, cpu_ms, summary FROM timing ORDER BY id"
            ).fetchall()
            return [
                StoredTiming(
                    batch=batch,
                    name=name,
                    digest=digest,
                    role=role,
                    segments=tuple(segments[number] for number in json.loads(numbers)),
                    timing=_timing(*columns),
                )
                for batch, name, digest, role, numbers, *columns in rows
            ]


def stored_environment(path: Path) -> dict[str, str]:
    """The environment that the timings in the file at `path` are of; empty where it holds none that can be read. A file
    of schema 4 does not tell the conditions."""
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=2.0)
        try:
            (found,) = connection.execute("SELECT value FROM meta WHERE name = 'environment'").fetchone()
        finally:
            connection.close()
        told = {str(name): str(value) for name, value in json.loads(found).items()}
        return {**told, **_CONDITIONS_4, **told}
    except (sqlite3.DatabaseError, ValueError, TypeError, AttributeError):
        return {}


def _columns(timing: Timing | Summary) -> tuple[str | None, str | None, str | None]:
    """What the columns wall_ms, cpu_ms and summary hold: numbers as JSON, to the last digit."""
    if isinstance(timing, Summary):
        return None, None, json.dumps(asdict(timing))
    return json.dumps(timing.wall_ms), json.dumps(timing.cpu_ms), None


def _timing(wall_ms: str | None, cpu_ms: str | None, summary: str | None) -> Timing | Summary:
    """The inverse of `_columns`."""
    if wall_ms is None or cpu_ms is None:
        found = json.loads(summary or "")
        _numbers([found["typical_ms"], found["count"]], above=True)
        _numbers([found["spread"]])
        return Summary(**found)
    wall = _numbers(json.loads(wall_ms), above=True)
    if not wall:
        raise ValueError("a timing without runs")
    return Timing(wall_ms=wall, cpu_ms=_numbers(json.loads(cpu_ms)))


def _numbers(values: object, *, above: bool = False) -> tuple[float, ...]:
    """`values`, a list of numbers that are at least, or `above`, 0. Raises `ValueError` for others."""
    found = tuple(map(entering, values)) if isinstance(values, list) else (math.nan,)
    if not all(value > 0 if above else value >= 0 for value in found):
        raise ValueError(f"{values!r} are no times")
    return found


def _rows_in(text: str) -> tuple[Row, ...]:
    """The operators of a segment: a kind, and a number for each of the columns. Raises `ValueError` for others."""
    rows = json.loads(text)
    for row in rows:
        if len(row) != 1 + len(NUMERIC_COLUMNS) or not isinstance(row[0], str):
            raise ValueError(f"{row!r} is no operator")
        _numbers(row[1:])
    return tuple(tuple(row) for row in rows)


def _check_schema(path: Path, schema: str) -> None:
    """Raises `InputError` for a file that another version of the program wrote, in a form that this one lacks."""
    if schema == str(SCHEMA):
        return
    later = schema.isdecimal() and int(schema) > SCHEMA
    remedy = "a later version of the program wrote it: use that one, or " if later else ""
    raise InputError(f"{path}: schema must be {SCHEMA}, but got {schema!r}; {remedy}{_ANEW}.")


def rows_of(table: OperatorTable) -> list[Row]:
    """The operators as tuples that `OperatorTable.from_rows` reads."""
    columns = [getattr(table, name).tolist() for name in NUMERIC_COLUMNS]
    return list(zip(table.kind.tolist(), *columns, strict=True))
