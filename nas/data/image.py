"""One image file, decoded by Pillow: what it is, and its pixels at a wanted size.

Only formats that hold pixels are opened, by Pillow's own decoders; nothing in a file is executed. An image is turned
as its EXIF data say, palettes are resolved, alpha is laid over white, of 16 bits the upper 8 are kept, and CMYK becomes
RGB.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from nas.errors import InputError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".bmp",
        ".gif",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".avif",
    ]
)
"""What the names of image files end with, in lower case."""
MAX_PIXELS = 128_000_000
MAX_BYTES = 2**28
NOTES = ("rotated", "palette", "alpha", "16 bit", "CMYK", "animated")
"""What is said of an image whose pixels are not simply those of the file."""

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
# What Pillow raises for files that are damaged; there is no common base.
_DAMAGED = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError,
    ZeroDivisionError, RuntimeError, MemoryError, struct.error, zlib.error,
)  # fmt: skip


class UnreadableError(InputError):
    """A file is no image that can be read; the text is the reason alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an image file holds: its size in pixels (turned upright), its channels (1 or 3), a digest of its pixels as
    they are decoded, equal for equal images, and which of `NOTES` are true of it."""

    format: str
    height: int
    width: int
    channels: int
    pixels: str
    notes: tuple[str, ...]


def examine(content: bytes) -> Facts:
    """What the file `content` holds; all of it is decoded. Raises `UnreadableError`."""
    image, kind, notes = _decoded(content, None)
    pixels = np.asarray(_in_mode(image, "RGB"))
    return Facts(
        format=kind,
        height=image.height,
        width=image.width,
        channels=len(image.getbands()),
        pixels=pixels_digest(pixels),
        notes=notes,
    )


def pixels_digest(pixels: NDArray[np.uint8]) -> str:
    """A digest of an image of shape (height, width, channels): equal where size, channels and pixels are."""
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def draw(content: bytes, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """The image in the file `content`, as `fitted`. Raises `UnreadableError`."""
    # A JPEG is decoded at a fraction of its size that is at least twice what is wanted.
    image, _, _ = _decoded(content, 2 * max(size))
    return _fitted(image, size, channels)


def fitted(pixels: NDArray[np.uint8], size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """An image of shape (height, width, 1 or 3) at `size` (height, width) with `channels` (1 or 3).

    Its greatest centred part of the wanted proportions is scaled (bilinear, antialiased); one that has the size already
    keeps its pixels.
    """
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return _fitted(image, size, channels)


def _fitted(image: Image.Image, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    height, width = size
    image = _in_mode(image, "L" if channels == 1 else "RGB")
    if image.size != (width, height):
        part = (min(image.width, image.height * width / height), min(image.height, image.width * height / width))
        left, top = (image.width - part[0]) / 2, (image.height - part[1]) / 2
        box = (left, top, left + part[0], top + part[1])
        image = image.resize((width, height), Image.Resampling.BILINEAR, box=box)
    return np.asarray(image).reshape(height, width, channels)


@contextmanager
def quiet() -> Iterator[None]:
    """Without Pillow's warnings of odd files inside the block, in all threads: a damaged file is told of, and the limit
    on pixels is ours."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        yield


def _decoded(content: bytes, at_least: int | None) -> tuple[Image.Image, str, tuple[str, ...]]:
    """The upright image in mode L or RGB, perhaps at a fraction of its size, its format, and what is true of it."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            if at_least is not None and image.format in ("JPEG", "MPO"):
                image.draft(None, (at_least, at_least))
            kind = (image.format or "").lower().replace("mpo", "jpeg")
            notes = _notes(image)
            # A TIFF file is turned by Pillow itself as it is loaded; the tag of a PNG file may come after its pixels.
            turned = kind == "tiff" and _orientation(image) in _TURNS
            image.load()
            turn = _TURNS.get(_orientation(image)) if kind != "tiff" else None
            upright = image if turn is None else image.transpose(turn)
            return _plain(upright), kind, ("rotated", *notes) if turned or turn is not None else notes
    except UnreadableError:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableError(f"has more than {MAX_PIXELS // 10**6} million pixels") from error
    except UnidentifiedImageError as error:
        raise UnreadableError("is empty" if not content else "is no image of a known format") from error
    except _DAMAGED as error:
        reason = "is truncated" if "truncated" in str(error).lower() else "is damaged"
        raise UnreadableError(reason) from error


def _notes(image: Image.Image) -> tuple[str, ...]:
    """What is true of `image`, which was opened and not loaded, apart from how it is turned."""
    true = {
        "palette": image.mode in ("P", "PA"),
        "alpha": _has_alpha(image),
        "16 bit": any("16" in str(_raw_mode(tile)) for tile in getattr(image, "tile", ())),
        "CMYK": image.mode == "CMYK",
        "animated": image.format in ("GIF", "WEBP", "PNG", "AVIF") and getattr(image, "is_animated", False),
    }
    return tuple(note for note in NOTES if true.get(note))


def _raw_mode(tile: tuple[object, ...]) -> object:
    arguments = tile[3]
    return arguments[0] if isinstance(arguments, tuple) and arguments else arguments


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _DAMAGED:
        return 1  # Damaged EXIF data are no reason to refuse a picture.


def _plain(image: Image.Image) -> Image.Image:
    """`image` in mode L or RGB."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise UnreadableError("has 32 bits a channel; save it with 8")
    gray = image.mode in ("1", "L", "LA", "La")
    if _has_alpha(image):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return _in_mode(image, "L" if gray else "RGB")


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # which copies in any case
