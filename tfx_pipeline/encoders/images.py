"""Photos to arrays: decoded by Pillow, upright, RGB, resized; what cannot be is refused by reason.

Size and format are read from the header first, so that a small file that would unfold to gigabytes
is never decoded.
"""

import io

import numpy as np
from PIL import Image, ImageOps

from tfx_pipeline.encoders.errors import ContentError

MAX_MEGAPIXELS = 50
# Only decoders that read pictures: Pillow also knows formats that start other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")

_SHOWN_BYTES = 16
# How a file of each format begins, to tell a damaged photo from what never was one.
_BEGINNINGS = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\x00", b"MM\x00*"),
}
_WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def decode_image(data: bytes, height: int, width: int) -> np.ndarray:
    """Decode a photo.

    The photo is turned as its EXIF orientation says, laid on white where it is transparent, and
    stretched to the size asked for, by Pillow's antialiased bicubic filter.

    Args:
        data: The bytes of the file.
        height: Height of the result, in pixels.
        width: Width of the result, in pixels.

    Returns:
        uint8 `[height, width, 3]`, RGB.

    Raises:
        ContentError: If it is no photo of a known format, too large, or damaged.
    """
    with _open_image(data) as image:
        _validate_size(image)
        try:
            image.load()
            upright = ImageOps.exif_transpose(image)
            small = _make_rgb(upright).resize((width, height), Image.Resampling.BICUBIC)
        except Exception as error:  # Decoders raise whatever they stumble upon.
            raise ContentError(f"a damaged {image.format} ({_word(error)})") from error
    return np.asarray(small)


def _open_image(data: bytes) -> Image.Image:
    """Read the header alone."""
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ContentError(f"more than {MAX_MEGAPIXELS} megapixels ({_word(error)})") from error
    except Exception as error:  # As above.
        damaged = _find_format(data)
        if damaged:
            raise ContentError(f"a damaged {damaged} ({len(data):,} bytes)") from error
        shown = data[:_SHOWN_BYTES]
        raise ContentError(
            f"not an image in one of the formats {', '.join(FORMATS)}; it begins with {shown!r}"
        ) from error


def _find_format(data: bytes) -> str | None:
    """Find the format that a file claims by its first bytes; None for none of those known."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((name for name, starts in _BEGINNINGS.items() if data.startswith(starts)), None)


def _validate_size(image: Image.Image) -> None:
    columns, rows = image.size
    if not columns or not rows:
        raise ContentError(f"an image without pixels, {columns} x {rows}")
    if columns * rows > MAX_MEGAPIXELS * 1_000_000:
        size = f"{columns * rows / 1e6:.0f} megapixels ({columns} x {rows})"
        raise ContentError(f"{size}, more than {MAX_MEGAPIXELS}")


def _make_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _WIDE_MODES:
        # Pillow would clip 16 bits to 255, i.e. make all but the darkest white.
        image = Image.fromarray((np.asarray(image, np.uint32) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _word(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
