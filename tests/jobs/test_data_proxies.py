"""What is asked of untrained networks: on the images of a search, once each, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nas.data import contents_digest, open_data
from nas.jobs.data_proxies import COLUMNS, IMAGES, Sheet
from nas.jobs.trained import Teaching, images
from nas.training import load_recipe
from nas.training.preprocessing import Normalize, preprocessing_for
from nas.training.proxies import proxies
from tests.jobs.test_train import write_images
from tests.training.examples import network

SIZE = (16, 16)


@pytest.fixture
def teaching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Teaching:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    path = tmp_path / "photos.npz"
    write_images(path)
    return Teaching(path=str(path), contents=contents_digest(open_data(path)), recipe=load_recipe("small"))


def test_a_network_is_looked_at_on_training_images_of_its_size(teaching: Teaching) -> None:
    sheet, asked = Sheet(teaching), network()
    train = images(teaching.path, teaching.contents, SIZE, 3).train
    # The first and the last of 180, and fourteen between them.
    chosen = [round(i * 179 / 15) for i in range(IMAGES)]
    values = Normalize(preprocessing_for(3))(train.images[chosen])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    expected = proxies(asked, values, torch.from_numpy(train.labels[chosen]), seed=0)
    torch.set_num_threads(threads)
    assert sheet.columns(asked) == [getattr(expected, name) for name in COLUMNS]
    assert sheet.values(asked) == {name: getattr(expected, name) for name in COLUMNS}
    assert (sheet.refused, sheet.note()) == ({}, None)


def test_what_cannot_train_is_refused_and_said(teaching: Teaching, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = network()
    calls: list[str] = []

    def broken(given: object, *rest: object, **more: object) -> object:
        calls.append("call")
        found = whole(given, *rest, **more)  # type: ignore[arg-type]
        return replace(found, synflow=None, broken={"synflow": "nothing flows from its input to its output"})

    whole = proxies
    monkeypatch.setattr("nas.training.proxies.proxies", broken)
    sheet = Sheet(teaching)
    assert sheet.columns(asked) is None and sheet.columns(asked) is None and calls == ["call"]
    assert sheet.note() == (
        f"Refused untrained: 1 of the space; the first, {asked.name}: nothing flows from its input to its output."
    )

    def unknown(given: object, *rest: object, **more: object) -> object:
        """Without rectifiers there is no NASWOT, and the network trains all the same."""
        return replace(whole(given, *rest, **more), naswot=None, broken={"naswot": "none"})  # type: ignore[arg-type]

    monkeypatch.setattr("nas.training.proxies.proxies", unknown)
    columns = Sheet(teaching).columns(asked)
    assert columns is not None and math.isnan(columns[0]) and all(map(math.isfinite, columns[1:]))
