"""Architectures, the known networks, and search spaces."""

from nas.space.architecture import Architecture, Layer, parse_architecture, read_architecture
from nas.space.codes import CodeSpace, Point
from nas.space.load import load_architecture, load_space, space_paths
from nas.space.search_space import Codes, SearchSpace
from nas.space.seeds import (
    KnownNetwork,
    find_known,
    known_as,
    known_names,
    known_network,
    known_networks,
    list_known,
)

__all__ = [
    "Architecture",
    "CodeSpace",
    "Codes",
    "KnownNetwork",
    "Layer",
    "Point",
    "SearchSpace",
    "find_known",
    "known_as",
    "known_names",
    "known_network",
    "known_networks",
    "list_known",
    "load_architecture",
    "load_space",
    "parse_architecture",
    "read_architecture",
    "space_paths",
]
