from __future__ import annotations

from pathlib import Path

import pytest

from nas.errors import InputError
from nas.latency.device import read_device

TEXT = """\
name: mine
chip: a chip
runtime: a runtime
compute_unit: CPU
precision: float32
protocol: by hand
date: 2024-05-01
source: me
"""


def write(folder: Path, text: str | bytes, name: str = "mine") -> Path:
    path = folder / "latency_tables" / name / "device.yaml"
    path.parent.mkdir(parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_device_is_read_with_defaults(tmp_path: Path) -> None:
    device = read_device(write(tmp_path, TEXT))
    assert (device.name, device.threads, device.date, device.notes) == ("mine", 0, "2024-05-01", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT + "chp: x\n", "'chp'; did you mean 'chip'?"),
        (TEXT.replace("chip: a chip\n", ""), "the key 'chip' must be given"),
        (TEXT + "threads: -1\n", "threads must be a whole number"),
        (TEXT + "threads: many\n", "threads must be a whole number"),
        (TEXT + "reach: local\nsettle_ms: -1\n", "settle_ms must be a number of 0 to 1000, but got -1"),
        (TEXT + "reach: local\nsettle_ms: long\n", "settle_ms must be a number"),
        (TEXT + "reach: local\nsettle_ms: .nan\n", "must be finite"),
        (TEXT + "reach: bundle\nsettle_ms: 10\n", "left out but for reach: local and ssh"),
        (TEXT.replace("a chip", "[a, b]"), "chip must be a text"),
        (TEXT.replace("name: mine", "name: ../mine"), "name must be a plain name"),
        (TEXT + "notes: !!python/object:os.system x\n", "tags are not allowed"),
        ("", "is empty"),
        (bytes(range(256)), "UTF-8"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(InputError, match="device.yaml") as caught:
        read_device(write(tmp_path, text))
    assert words in str(caught.value)


def test_the_conditions_of_a_latency_are_told_as_text(tmp_path: Path) -> None:
    device = read_device(write(tmp_path, TEXT + "threads: 4\n"))
    assert device.conditions == {"threads": "4", "precision": "float32", "compute_unit": "CPU"}
    assert "settle_ms" not in device.conditions and "settle_ms" not in device.as_json()
    settled = read_device(write(tmp_path / "settled", TEXT + "reach: local\nsettle_ms: 10\n"))
    assert settled.conditions["settle_ms"] == "10" and settled.as_json()["settle_ms"] == 10.0
    open_device = read_device(write(tmp_path / "open", TEXT))
    assert open_device.conditions["threads"] == "as the runtime decides"


def test_a_device_out_of_reach_says_so_or_nothing(tmp_path: Path) -> None:
    device = read_device(write(tmp_path, TEXT + "reach: none\n"))
    assert device.reach == read_device(write(tmp_path / "silent", TEXT)).reach == ""
    assert device.environment == {
        "chip": "a chip", "runtime": "a runtime", "threads": "as the runtime decides", "precision": "float32",
        "compute_unit": "CPU",
    }  # fmt: skip
