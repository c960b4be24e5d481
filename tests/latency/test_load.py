from __future__ import annotations

from pathlib import Path

import pytest

import nas
from nas.errors import InputError
from nas.latency import device_home, load_latency
from nas.latency.load import resolve_segments
from nas.runtimes import OWN
from nas.space import known_network

NETWORK = "mobilenetv2-0.6@192"


def test_a_model_is_loaded_by_name_and_from_a_home_alike() -> None:
    assert nas.load_latency is load_latency
    by_name, by_home = load_latency("iphone12"), load_latency(device_home("iphone12"))
    assert by_name.latency_ms([NETWORK]) == by_home.latency_ms([NETWORK])


def test_names_architectures_and_files_are_priced_alike(tmp_path: Path) -> None:
    model, network = load_latency("iphone12"), known_network(NETWORK)
    file = tmp_path / "network.yaml"
    file.write_text(network.to_yaml(), encoding="utf-8")
    found = model.latency_ms([NETWORK, network, file, network.graph()])
    assert found == pytest.approx([found[0]] * 4)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(InputError, match="a name, a path, an architecture or a graph, but got int"):
        resolve_segments(3, OWN)
