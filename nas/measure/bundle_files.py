"""Writing the networks of a bundle: what is there already is kept, so that a bundle that was stopped goes on."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from nas.errors import ConversionError, InputError, UnknownOperatorError
from nas.files import writing
from nas.measure.build import reference_item
from nas.measure.bundle import (
    MANIFEST_FILE,
    Bundle,
    BundledFile,
    BundledNetwork,
    bundled,
    checksum,
    write_manifest,
)
from nas.measure.plan import Item
from nas.progress import OnProgress, Step, silent
from nas.runtimes import Runtime

_EVERY = 10
"""Networks between two manifests: so many files at most are written again after a kill."""
_FEWEST_FAULTS = 20
"""Networks that a format may lack before it is given up; more where more are wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBundle:
    """A bundle all of whose files are there, and how many of them were written now."""

    bundle: Bundle
    written: int


def write_networks(
    bundle: Bundle, folder: Path, items: Iterable[Item], runtime: Runtime, progress: OnProgress = silent
) -> WrittenBundle:
    """Write the files of `bundle` to `folder`: those that lack or differ from their checksum, then networks of `items`
    that are new to it until it has as many as are wanted.

    A network that one of the formats cannot hold is left out, and the next takes its place. Raises `InputError` where
    the reference is such a network, where too many are, and where `items` end too soon.
    """
    written, kept = 0, 0

    def step(done: int) -> None:
        progress(Step(doing="writing networks", done=done, of=bundle.wanted))

    for done, network in enumerate(bundle.networks):
        step(done)
        whole, count = _write(network, network.item(runtime, str(folder / MANIFEST_FILE)), folder, bundle.seed)
        written += count
        bundle = bundle.with_network(whole)
    if not bundle.networks:
        reference = reference_item(runtime)
        whole, count = _write(bundled(reference, 0, bundle.formats), reference, folder, bundle.seed)
        written += count
        bundle = bundle.with_network(whole)
    known = {network.digest for network in bundle.networks}
    for item in items if not bundle.is_whole else ():
        step(len(bundle.networks))
        if item.digest in known or item.name in bundle.left_out:
            continue
        known.add(item.digest)
        network = bundled(item, len(bundle.networks), bundle.formats)
        try:
            whole, count = _write(network, item, folder, bundle.seed)
        except (ConversionError, UnknownOperatorError) as error:
            bundle = replace(bundle, left_out={**bundle.left_out, item.name: str(error)})
            _remove(network, folder)
            _check_faults(bundle)
            continue
        written += count
        bundle = bundle.with_network(whole)
        if bundle.is_whole:
            break
        kept += 1
        if kept % _EVERY == 0:
            write_manifest(bundle, folder)
    write_manifest(bundle, folder)
    if not bundle.is_whole:
        raise InputError(
            f"--networks must be at most what there is to time for {bundle.space}, but of {bundle.wanted} there are"
            f" {len(bundle.networks)}; ask for fewer, or take a larger space."
        )
    return WrittenBundle(bundle=bundle, written=written)


def _write(network: BundledNetwork, item: Item, folder: Path, seed: int) -> tuple[BundledNetwork, int]:
    """The network with the checksums of its files, and how many of these had to be written."""
    from nas.nets.untrained import write_untrained

    files: dict[str, BundledFile] = {}
    written = 0
    for name, file in network.files.items():
        path = folder / file.path
        if not (file.sha256 and path.exists() and checksum(path) == file.sha256):
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_untrained(item.graph(), path, seed=seed)
            written += 1
            file = replace(file, sha256=checksum(path))
        files[name] = file
    return replace(network, files=files), written


def _remove(network: BundledNetwork, folder: Path) -> None:
    """Remove the files of a network that another format could not hold."""
    for file in network.files.values():
        path = folder / file.path
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _check_faults(bundle: Bundle) -> None:
    """Raises `InputError` where a format lacks so many networks that the rest says little."""
    if len(bundle.left_out) >= max(_FEWEST_FAULTS, bundle.wanted):
        name, reason = next(iter(bundle.left_out.items()))
        raise InputError(
            f"the formats {', '.join(bundle.formats)} must hold the networks, but {len(bundle.left_out)} were refused,"
            f" first {name}: {reason} Choose another --format."
        )
