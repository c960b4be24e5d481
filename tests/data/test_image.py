from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nas.data.image import Facts, UnreadableError, draw, examine, fitted, quiet
from tests.data.pictures import picture


def encoded(image: Image.Image, form: str, **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format=form, **how)
    return file.getvalue()


def whole(content: bytes) -> tuple[NDArray[np.uint8], Facts]:
    """The pixels of a file at its own size."""
    facts = examine(content)
    return draw(content, (facts.height, facts.width), facts.channels), facts


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


# What the values of the tag mean (EXIF 2.32, table 6): how the stored picture is turned to stand upright.
TURNS: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", sorted(TURNS))
def test_exif_rotation_is_applied(form: str, orientation: int) -> None:
    pixels = picture(1, 4, 6)
    content = encoded(Image.fromarray(pixels), form, exif=turned(orientation))
    upright = TURNS[orientation](pixels)
    found, facts = whole(content)
    assert np.array_equal(found, upright)
    assert (facts.height, facts.width) == upright.shape[:2]
    assert facts.notes == (("rotated",) if orientation > 1 else ())


def test_a_rotated_jpeg_decoded_at_a_fraction_stands_upright() -> None:
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[:, :64] = 255  # the left half is white: turned clockwise, the upper one
    content = encoded(Image.fromarray(pixels), "JPEG", exif=turned(6))
    assert examine(content).height == 128
    found = draw(content, (8, 4), 3)
    assert found[:3].min() > 200 and found[5:].max() < 55


def test_alpha_is_laid_over_white() -> None:
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (10, 20, 30, 255))
    found, facts = whole(encoded(image, "PNG"))
    assert found.tolist() == [[[255, 255, 255], [10, 20, 30]]]
    assert facts.notes == ("alpha",)


def test_gray_with_alpha_stays_gray() -> None:
    found, facts = whole(encoded(Image.new("LA", (1, 1), (0, 128)), "PNG"))
    assert (found.tolist(), facts.channels) == ([[[127]]], 1)  # 0 · 128/255 + 255 · 127/255


def test_a_palette_with_a_transparent_color() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([1, 2, 3, 40, 50, 60])
    image.putpixel((1, 0), 1)
    found, facts = whole(encoded(image, "PNG"))
    assert (found.tolist(), facts.notes) == ([[[1, 2, 3], [40, 50, 60]]], ("palette",))
    found, facts = whole(encoded(image, "PNG", transparency=0))
    assert (found.tolist(), facts.notes) == ([[[255, 255, 255], [40, 50, 60]]], ("palette", "alpha"))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_of_16_bits_the_upper_8_are_kept(form: str) -> None:
    found, facts = whole(encoded(Image.fromarray(np.array([[0x1234, 0xFF00]], np.uint16)), form))
    assert (found.tolist(), facts.notes, facts.channels) == ([[[0x12], [0xFF]]], ("16 bit",), 1)


def png(width: int, height: int, depth: int, color: int, rows: bytes) -> bytes:
    """A PNG file by hand (ISO 15948)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_color_of_16_bits() -> None:
    found, facts = whole(png(1, 1, 16, 2, b"\0" + struct.pack(">HHH", 0x1234, 0x5678, 0x9ABC)))
    assert (found.tolist(), facts.notes) == ([[[0x12, 0x56, 0x9A]]], ("16 bit",))


def test_cmyk_becomes_rgb() -> None:
    image = Image.new("CMYK", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (255, 0, 0, 0))
    found, facts = whole(encoded(image, "TIFF"))
    assert (found.tolist(), facts.notes) == ([[[255, 255, 255], [0, 255, 255]]], ("CMYK",))
    found, facts = whole(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG"))
    assert found.min() > 250 and facts.notes == ("CMYK",)


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (2, 2), color) for color in ("black", "white")]
    found, facts = whole(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert found.max() == 0 and "animated" in facts.notes


def test_equal_pixels_have_one_digest_whatever_the_file() -> None:
    image = Image.fromarray(picture(2))
    forms: list[tuple[str, dict[str, Any]]] = [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ]
    assert len({examine(encoded(image, form, **how)).pixels for form, how in forms}) == 1
    gray = image.convert("L")
    assert examine(encoded(gray, "PNG")).pixels == examine(encoded(gray.convert("RGB"), "PNG")).pixels
    assert (
        examine(encoded(image.transpose(Image.Transpose.ROTATE_90), "PNG")).pixels
        != examine(encoded(image, "PNG")).pixels
    )


def bomb() -> bytes:
    return png(50_000, 50_000, 1, 0, b"\0" * 6251)


JPEG = encoded(Image.fromarray(picture(3, 64, 64)), "JPEG")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"not a picture", "is no image of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no image of a known format"),
        (JPEG[: len(JPEG) // 2], "is truncated"),
        (JPEG[:20], "is no image of a known format|is truncated|is damaged"),
        (encoded(Image.fromarray(picture(4, 64, 64)), "PNG")[:2000], "is truncated|is damaged"),
        (bomb(), "has more than 128 million pixels"),
        (png(16_000, 9_000, 1, 0, b"\0"), "has more than 128 million pixels"),  # between Pillow's two limits
        (png(8, 8, 8, 2, b"\0" * 5), "is truncated|is damaged"),
        (encoded(Image.new("F", (2, 2)), "TIFF"), "has 32 bits a channel"),
    ],
)
def test_unreadable_files_have_a_reason(content: bytes, reason: str) -> None:
    with quiet(), pytest.raises(UnreadableError, match=f"^({reason})"):
        examine(content)


def test_every_truncation_is_told_or_read() -> None:
    """No byte at which a file ends raises anything else; a JPEG without its last bytes may be whole."""
    files = [
        JPEG,
        *(encoded(Image.fromarray(picture(5, 16, 16)), form) for form in ("PNG", "GIF", "BMP", "WEBP", "TIFF")),
    ]
    with quiet():
        for content in files:
            failed = 0
            for end in range(0, len(content) - 8, 29):
                try:
                    examine(content[:end])
                except UnreadableError:
                    failed += 1
            assert failed > 0.8 * len(range(0, len(content) - 8, 29))


def test_the_centre_is_scaled() -> None:
    columns = np.array([0, 100, 200, 50], np.uint8)
    pixels = np.broadcast_to(columns[None, :, None], (2, 4, 1))
    assert fitted(pixels, (2, 2), 1)[0, :, 0].tolist() == [100, 200]
    assert fitted(pixels.transpose(1, 0, 2), (2, 2), 3)[:, 0, 2].tolist() == [100, 200]
    # The middle square is scaled to one pixel: a triangle over four columns, (1 · 0 + 3 · 100 + 3 · 200 + 1 · 50) / 8.
    assert fitted(pixels, (1, 1), 1).tolist() == [[[119]]]
    # 4 wide and 1 high from 4 × 2: the rows in the middle, half of each.
    rows = np.broadcast_to(np.array([10, 30], np.uint8)[:, None, None], (2, 4, 1))
    assert fitted(rows, (1, 4), 1)[0, :, 0].tolist() == [20] * 4


def test_the_wanted_size_keeps_its_pixels() -> None:
    pixels = picture(6)
    assert np.array_equal(fitted(pixels, (8, 12), 3), pixels)
    # ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B.
    assert np.abs(fitted(pixels, (8, 12), 1)[:, :, 0] - pixels @ [0.299, 0.587, 0.114]).max() <= 0.51
