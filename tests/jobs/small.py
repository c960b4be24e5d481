"""A small space of real blocks, with the shipped models: what the tests of jobs search."""

from __future__ import annotations

from typing import Any

from nas.space.reading import parse_search_space
from nas.space.search_space import SearchSpace


def small_document(**changes: Any) -> dict[str, Any]:
    """The file of `small_space`."""
    plain = {"kernel": [3], "expansion": [3, 6], "free_blocks": 1, "kinds": ["mbconv"]}
    mixed = {"kernel": [3, 5], "expansion": [3, 6], "free_blocks": 1, "kinds": ["mbconv", "mobileone"]}
    document: dict[str, Any] = {
        "schema": 1,
        "name": "small",
        "resolution": [192, 224],
        "stems": [[{"block": "conv", "out": [16], "stride": 2, "act": "hswish"}]],
        "kinds": {
            "mbconv": {
                "block": {
                    "block": "mbconv", "out": "width", "hidden": "expansion*in", "kernel": "kernel",
                    "stride": "stride", "act": "act",
                }
            },
            "mobileone": {
                "block": {"block": "mobileone", "out": "width", "kernel": "kernel", "stride": "stride", "act": "act"}
            },
        },
        "stages": [
            {"stride": 2, "depth": [2], "width": [24, 32], "act": ["relu"], **plain},
            {"stride": 2, "depth": [2, 4], "width": [48, 64], "act": ["relu"], **plain},
            {"stride": 2, "depth": [4, 8], "width": [96, 128, 160], "act": ["relu"], **mixed},
            {"stride": 2, "depth": [1, 2], "width": [192, 320], "act": ["relu"], **mixed},
        ],
        "heads": [[{"block": "head"}]],
    }  # fmt: skip
    return {**document, **changes}


def small_space(**changes: Any) -> SearchSpace:
    """Four stages of MobileNetV3-like and MobileOne blocks: some ten thousand codes below a millisecond on iphone12."""
    return parse_search_space(small_document(**changes), "small")


def tiny_document(name: str = "tiny", widths: tuple[tuple[int, ...], ...] = ((8, 16), (16, 24))) -> dict[str, Any]:
    """The file of a space of a few dozen networks of 32 px."""
    stage = {"stride": 2, "depth": [1, 2], "kernel": [3], "expansion": [2], "kinds": ["mbconv"], "act": ["relu"]}
    return small_document(name=name, resolution=[32], stages=[{**stage, "width": list(own)} for own in widths])
