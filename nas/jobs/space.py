"""What is known of search spaces: the records behind `nas space`."""

from __future__ import annotations

from typing import Any

import numpy as np

from nas.errors import InputError
from nas.space import Architecture, CodeSpace, Point, SearchSpace, known_networks, load_space, space_paths
from nas.space.encode import encode
from nas.space.resolution import resolution_document


def space_records() -> list[dict[str, Any]]:
    """Every search space: name, kind ("networks" or "codes"), number of genes, size (exact, as text), description."""
    return [{**_record(load_space(path)), "name": name, "path": str(path)} for name, path in space_paths().items()]


def describe_space(space: SearchSpace | CodeSpace) -> dict[str, Any]:
    """The record of a space, its genes with their choices and, of networks, stems, stages, heads and known points."""
    record = {
        **_record(space),
        "path": space.source,
        "genes": {name: list(found) for name, found in space.genes.items()},
    }
    if isinstance(space, CodeSpace):
        return record
    return {
        **record,
        "resolution": [resolution_document(resolution) for resolution in space.resolutions],
        "num_classes": space.num_classes,
        "in_channels": space.in_channels,
        "stems": [[layer.as_mapping() for layer in stem] for stem in space.stems],
        "stages": [
            {
                "name": stage.name,
                "stride": stage.stride,
                **{gene: list(choices) for gene, choices in stage.shared_genes.items()},
                "kernel": list(stage.kernel),
                "expansion": list(stage.expansion),
                "free_blocks": stage.num_free,
            }
            for stage in space.stages
        ],
        "heads": [[layer.as_mapping() for layer in head] for head in space.heads],
        "known": [network.name for network in known_networks() if _holds(space, network)],
    }


def sample_space(space: SearchSpace | CodeSpace, count: int, seed: int) -> list[dict[str, Any]]:
    """Records of `count` random points: their genes and, of networks, size, cost and the architecture's document."""
    return [_point(point) for point in space.sample(count, np.random.default_rng(seed))]


def _record(space: SearchSpace | CodeSpace) -> dict[str, Any]:
    return {
        "name": space.name,
        "kind": "codes" if isinstance(space, CodeSpace) else "networks",
        "genes": len(space.genes),
        "size": str(space.size),
        "description": space.description,
    }


def _holds(space: SearchSpace, network: Architecture) -> bool:
    try:
        encode(space, network)
    except InputError:
        return False
    return True


def _point(point: Architecture | Point) -> dict[str, Any]:
    if isinstance(point, Point):
        return {"code": list(point.code), "genes": dict(point.genes)}
    return {
        "name": point.name,
        "digest": point.digest,
        "resolution": resolution_document(point.resolution),
        "params": point.params,
        "macs": point.macs,
        "genes": dict(point.genes),
        "architecture": point.as_mapping(),
    }
