from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from nas.pages import of_device, of_result, page_of, write_pictures
from nas.pages.pictures import picture
from tests.pages import documents


@pytest.mark.parametrize("name", ["verified", "trials", "train", "study", "correlation"])
def test_every_figure_is_a_picture(name: str) -> None:
    page = page_of(of_result(documents.RESULTS[name][1]))
    for figure in page.figures:
        root = ElementTree.fromstring(picture(figure, "svg"))
        assert root.tag.endswith("svg"), figure.name
        assert figure.title in "".join(root.itertext()), figure.name


def test_pictures_are_named_after_the_page_and_the_figure(tmp_path: Path) -> None:
    page = page_of(of_device(documents.device()))
    assert write_pictures(page, tmp_path / "phone", ["svg", "png"]) == [
        tmp_path / "phone-device-figure.svg", tmp_path / "phone-device-figure.png",
    ]  # fmt: skip
    with Image.open(tmp_path / "phone-device-figure.png") as found:
        assert found.width > 1000


def test_a_name_is_no_formula_and_no_markup() -> None:
    page = page_of(of_result(documents.with_text(documents.study(), "$\\frac{<b>&$")))
    root = ElementTree.fromstring(picture(page.figures[0], "svg"))
    assert "relu$\\frac{<b>&$" in "".join(root.itertext())


def test_the_same_figure_is_the_same_file() -> None:
    figure = page_of(of_result(documents.search())).figures[0]
    assert picture(figure, "svg") == picture(figure, "svg")
