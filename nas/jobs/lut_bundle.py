"""Tables of devices that are not reached from here: their networks go out as a bundle, and come back as times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nas.errors import InputError
from nas.files import write_bytes
from nas.jobs.lut_build import check_table, measured_environment, measured_space, table_items
from nas.jobs.lut_few import helping_devices
from nas.latency import DeviceHome
from nas.latency.device import UNTOLD
from nas.latency.load import LISTS_FILE, NETWORKS_FILE, PLAN_FILE
from nas.latency.model import COEFFICIENTS_FILE, TABLE_FILE, read_latency_model
from nas.latency.timed.regression import MIN_NETWORKS
from nas.measure.bundle import (
    MANIFEST_FILE,
    PAGE_FILE,
    TIMINGS_FILE,
    Bundle,
    default_format,
    read_bundle,
    timings_path,
    write_manifest,
)
from nas.measure.bundle_files import write_networks
from nas.measure.bundle_page import page_text
from nas.measure.bundle_times import FilledTimes, read_times, require_believable, timings_text
from nas.measure.few import FEW, LEAST, FewTable, few_items, fit_few
from nas.measure.fit import TIMINGS_SHA256, BuiltTable, fit_table, timings_digest
from nas.measure.plan import Item
from nas.measure.store import MUST_AGREE, REFERENCE, NewTiming, StoredTiming, TimingStore
from nas.progress import OnProgress, Step, silent
from nas.runners.timing import Summary
from nas.space.load import SPACE_FILE, space_path
from nas.space.search_space import SearchSpace
from nas.zoo.formats import check_formats

NETWORKS = 40
"""Networks of a bundle where nobody says how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRequest:
    """What a user asks of `nas lut bundle`; no formats: the one that the device's runtime reads."""

    home: DeviceHome
    out: Path
    space: str = "mobile"
    formats: tuple[str, ...] = ()
    networks: int = NETWORKS
    seed: int = 0

    @property
    def is_few(self) -> bool:
        """Whether so few networks are asked for that other devices help."""
        return self.networks <= FEW


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeBundle:
    """A bundle that is whole, in `folder`: `written` of its files are new, `size_bytes` is that of all."""

    folder: Path
    bundle: Bundle
    written: int
    size_bytes: int

    def as_json(self) -> dict[str, Any]:
        """The bundle as a record."""
        bundle = self.bundle
        roles = [network.role for network in bundle.networks]
        return {
            "device": bundle.device,
            "folder": str(self.folder),
            "timings": str(self.folder / TIMINGS_FILE),
            "space": bundle.space,
            "seed": bundle.seed,
            "formats": list(bundle.formats),
            "networks": len(bundle.networks),
            "roles": {role: roles.count(role) for role in sorted(set(roles))},
            "files": len(bundle.networks) * len(bundle.formats),
            "written": self.written,
            "size_bytes": self.size_bytes,
            "left_out": dict(bundle.left_out),
        }


def make_bundle(request: BundleRequest, *, progress: OnProgress = silent) -> MadeBundle:
    """Write a bundle, or what lacks of it: files that are there are not written again, and `timings.csv` never is.

    The networks are those that a build of this space and seed would time first, or, where they are few, with
    `--networks`; without what was timed before. Raises
    `InputError` for fewer networks than a table needs, a format that cannot be written here, and a folder that holds
    another bundle; before anything is written.
    """
    home, folder = request.home, request.out
    formats = request.formats or (default_format(home.device),)
    check_formats(formats)
    if request.networks < LEAST:
        raise InputError(
            f"--networks must be at least {LEAST} to fit a table to, the reference among them, but got"
            f" {request.networks}; ask for more."
        )
    space = measured_space(request.space)
    environment = measured_environment(home)
    bundle = Bundle(
        device=home.name,
        environment={name: environment[name] for name in MUST_AGREE if name in environment},
        space=space.name,
        seed=request.seed,
        formats=formats,
        wanted=request.networks,
    )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        bundle = _going_on(bundle, folder)
    else:
        write_manifest(bundle, folder)
    items = _untimed_items(request, space, environment, progress)
    found = write_networks(bundle, folder, items, home.runtime, progress)
    write_bytes(folder / SPACE_FILE, space_path(request.space).read_bytes())
    write_bytes(folder / PAGE_FILE, page_text(found.bundle, home.device).encode())
    if not (folder / TIMINGS_FILE).exists():
        write_bytes(folder / TIMINGS_FILE, timings_text(found.bundle).encode())
    return MadeBundle(
        folder=folder,
        bundle=found.bundle,
        written=found.written,
        size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    )


def _going_on(asked: Bundle, folder: Path) -> Bundle:
    """The bundle in `folder` where it is the one that is asked for."""
    if not (folder / MANIFEST_FILE).is_file():
        raise InputError(f"--out must be a new or empty folder, or a bundle to go on with, but {folder} is neither.")
    found = read_bundle(folder)
    now, before = asked.as_json(), found.as_json()
    for name in ("device", "environment", "space", "seed", "formats", "wanted"):
        if now[name] != before[name]:
            raise InputError(
                f"{folder} holds a bundle of {name} {before[name]!r}, but this is {now[name]!r}; choose another folder."
            )
    return found


def _untimed_items(
    request: BundleRequest, space: SearchSpace, environment: Mapping[str, str], progress: OnProgress
) -> Iterator[Item]:
    """The networks that a build would time, without those that were timed before."""
    progress(Step(doing="choosing networks"))
    home, done = request.home, set[str]()
    if home.timings.exists():
        with TimingStore(home.timings, environment) as store:
            done = store.digests()
    items = table_items(home, space, request.seed)
    if request.is_few:
        # One that no format holds leaves its place to the next.
        items = iter(few_items(space, home.runtime, helping_devices(home), 2 * FEW + len(done), request.seed))
    yield from (item for item in items if item.digest not in done)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedBundle:
    """What came of `timings.csv`: networks that are new, that have another time than before, that are as they were, and
    that were timed in another way before and stay; how many networks of the device are timed now, the reference among
    them; and the table where it was fitted (None: they are too few, or the table is theirs already)."""

    device: str
    times: FilledTimes
    added: int
    corrected: int
    unchanged: int
    elsewhere: int
    timed: int
    folder: Path
    table: BuiltTable | FewTable | None
    least: int = MIN_NETWORKS

    @property
    def needed(self) -> int:
        """How many networks more must be timed for a table."""
        return max(0, self.least - self.timed)

    @property
    def reference_ms(self) -> tuple[float, ...]:
        """The reference's times that are filled in, first and last."""
        return tuple(row.latency_ms for row in self.times.reference)

    def as_json(self) -> dict[str, Any]:
        """The import as a record."""
        return {
            "device": self.device,
            "file": str(self.times.path),
            "form": "bundle",
            "format": self.times.format,
            "added": self.added,
            "corrected": self.corrected,
            "unchanged": self.unchanged,
            "timed_elsewhere": self.elsewhere,
            "missing": list(self.times.missing),
            "reference_ms": list(self.reference_ms),
            "timed": self.timed,
            "needed": self.needed,
            "folder": str(self.folder),
            "table": self.table.as_json() if self.table else None,
        }


def import_bundle(home: DeviceHome, path: Path, *, progress: OnProgress = silent) -> ImportedBundle:
    """Take the times in the CSV file of a bundle (or in its folder) to the device's timings, and fit its table.

    What was imported before is kept, corrected where the file says otherwise, and added to; the same file again changes
    nothing. Where too few networks are timed there is no table yet. Raises `InputError` for a bad file or manifest, for
    times of another device or under other conditions, and without a time of the reference; nothing is changed then.
    """
    progress(Step(doing="reading the timings"))
    found = read_bundled(home, path)
    bundle, times, items, environment = found.bundle, found.times, found.items, found.environment
    space = measured_space(str(times.path.parent / SPACE_FILE))
    check_table(home)
    if not (times.reference or home.timings.exists()):
        raise _without_reference(times, bundle)
    with TimingStore(home.timings, environment) as store:
        change = _change(times, bundle, store.timings(), store.batch_called(bundle.identity))
        if change.is_one:
            store.add_batch(_new_timings(change, bundle, items), seconds=0.0, called=bundle.identity)
        timings = store.timings()
    timed = len({timing.digest for timing in timings})
    is_few = bundle.wanted <= FEW and timed <= FEW
    least = LEAST if is_few else MIN_NETWORKS
    table: BuiltTable | FewTable | None = None
    if timed >= least and not _is_fitted(home, space, timings):
        progress(Step(doing="fitting what was timed"))
        others = helping_devices(home) if is_few else []
        _take_along(home)
        fit = partial(fit_few, others=others) if is_few else fit_table
        table = fit(home, space, timings, environment)
    return ImportedBundle(
        device=home.name,
        times=times,
        added=change.added,
        corrected=change.corrected,
        unchanged=len(times.rows) - change.added - change.corrected - change.elsewhere,
        elsewhere=change.elsewhere,
        timed=timed,
        folder=home.own_folder,
        table=table,
        least=least,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledTimes:
    """What came back of a bundle: the bundle, its times, its networks as items by digest, and their conditions."""

    bundle: Bundle
    times: FilledTimes
    items: Mapping[str, Item]
    environment: dict[str, str]


def read_bundled(home: DeviceHome, path: Path) -> BundledTimes:
    """The times in the CSV file of a bundle (or in its folder), which are of this device and can be.

    Raises `InputError` for a bad file or manifest, for times of another device or under other conditions.
    """
    path = timings_path(path)
    bundle = read_bundle(path.parent)
    where = str(path.parent / MANIFEST_FILE)
    environment = measured_environment(home)
    _check_device(home, bundle, environment, where)
    times = read_times(path, bundle)
    items = {network.digest: network.item(home.runtime, where) for network in bundle.networks}
    require_believable(times, {key: item.macs for key, item in items.items()}, home.device.compute_unit)
    return BundledTimes(bundle=bundle, times=times, items=items, environment=environment)


def _check_device(home: DeviceHome, bundle: Bundle, environment: Mapping[str, str], where: str) -> None:
    """Raises `InputError` where the times are not of this device as it is described today."""
    if bundle.device != home.name:
        raise InputError(
            f"{where}: the bundle is of the device {bundle.device}, but --device is {home.name}; times of two devices"
            " must not mix."
        )
    for name in MUST_AGREE:
        before = bundle.environment.get(name)
        if before != environment.get(name) and not (name == "chip" and str(before).startswith(UNTOLD)):
            raise InputError(
                f"{where}: the bundle was written for {name} {before!r}, but {home.file} says"
                f" {environment.get(name)!r}; put it back, or write the bundle anew and time that."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What a file changes of the stored timings: the times that the batch of this bundle is to hold, by digest, the
    reference's, and counts of rows."""

    latency_ms: Mapping[str, float]
    reference_ms: Sequence[float]
    added: int
    corrected: int
    elsewhere: int
    is_one: bool


def _change(times: FilledTimes, bundle: Bundle, stored: Sequence[StoredTiming], batch: int | None) -> _Change:
    """What `times` change where `batch` holds what was imported of this bundle. Raises `InputError` where the reference
    has no time."""
    own = [timing for timing in stored if timing.batch == batch]
    former = {timing.digest: timing.latency_ms for timing in own if timing.role != REFERENCE}
    former_reference = [timing.latency_ms for timing in own if timing.role == REFERENCE]
    elsewhere = {timing.digest for timing in stored if timing.batch != batch}
    reference_ms = [row.latency_ms for row in times.reference] or former_reference
    if not reference_ms:
        raise _without_reference(times, bundle)
    given = {row.network.digest: row.latency_ms for row in times.rows if row.network.digest not in elsewhere}
    corrected = sum(digest in former and former[digest] != ms for digest, ms in given.items())
    added = len(given.keys() - former.keys())
    return _Change(
        latency_ms=former | given,
        reference_ms=reference_ms,
        added=added,
        corrected=corrected,
        elsewhere=len(times.rows) - len(given),
        is_one=bool(added or corrected) or reference_ms != former_reference,
    )


def _without_reference(times: FilledTimes, bundle: Bundle) -> InputError:
    return InputError(
        f"{times.path}, line 2: the reference {bundle.reference.name} must be timed, first and last, since it tells how"
        " fast the device was, but latency_ms is empty; time it, and fill it in."
    )


def _new_timings(change: _Change, bundle: Bundle, items: Mapping[str, Item]) -> Iterator[NewTiming]:
    """The batch of the bundle: the reference before and behind, the networks in their order between."""
    reference = [(items[bundle.reference.digest], ms) for ms in change.reference_ms]
    own = [(items[n.digest], change.latency_ms[n.digest]) for n in bundle.networks if n.digest in change.latency_ms]
    for item, ms in (*reference[:1], *own, *reference[1:]):
        yield NewTiming(
            name=item.name,
            digest=item.digest,
            role=item.role,
            segments=item.segments,
            timing=Summary(typical_ms=ms, spread=0.0, count=1),
        )


def _is_fitted(home: DeviceHome, space: SearchSpace, timings: Sequence[StoredTiming]) -> bool:
    """Whether the table of the device is that of these timings."""
    if not all((home.own_folder / name).exists() for name in (COEFFICIENTS_FILE, TABLE_FILE)):
        return False
    model = read_latency_model(home.device, home.own_folder).operators
    manifest = model.manifest if model else {}
    kept = home.own_folder / SPACE_FILE
    same = kept.exists() and kept.read_bytes() == Path(space.source).read_bytes()
    return same and manifest.get(TIMINGS_SHA256) == timings_digest(timings)


def _take_along(home: DeviceHome) -> None:
    """Copy what others published of a shipped device to the workspace's folder of it, which will hide the shipped."""
    if home.folder.resolve() == home.own_folder.resolve():
        return
    for name in (NETWORKS_FILE, LISTS_FILE, PLAN_FILE):
        if (home.folder / name).exists():
            write_bytes(home.own_folder / name, (home.folder / name).read_bytes())
