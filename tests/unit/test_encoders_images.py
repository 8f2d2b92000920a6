"""Photos: what is made of sound ones, and the reason for which each bad one is refused."""

import numpy as np
import pytest
from tiny_encoders import make_bomb, make_noise, make_photo

from tfx_pipeline.encoders.contents import read_file
from tfx_pipeline.encoders.errors import ContentError
from tfx_pipeline.encoders.images import decode_image

BAD = {
    "text": (b"This is a text, not a photo.", r"not an image in one of .*begins with b'This is a"),
    "truncated": (make_noise(1)[:700], r"a damaged JPEG \(.*truncated"),
    "header alone": (make_photo("red")[:20], r"a damaged JPEG \(20 bytes\)"),
    "first bytes of a webp": (make_photo("red", kind="WEBP")[:14], r"a damaged WEBP \(14 bytes\)"),
    "bomb": (make_bomb(), r"100 megapixels \(10000 x 10000\), more than 50"),
    "larger bomb": (make_bomb(30_000, 30_000), "more than 50"),
    "damaged png": (make_bomb(9, 9)[:-20] + b"x" * 20, "a damaged PNG"),
    "script": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
}


@pytest.mark.parametrize(("data", "reason"), BAD.values(), ids=BAD)
def test_bad_photos_are_refused_by_reason(data, reason):
    with pytest.raises(ContentError, match=reason):
        decode_image(data, 8, 8)


def test_a_bomb_is_refused_without_being_decoded():
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(ContentError):
        decode_image(make_bomb(), 8, 8)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_one_colour_stays_this_colour(kind):
    photo = decode_image(make_photo((200, 100, 50), kind=kind), 8, 6)
    assert photo.shape == (8, 6, 3) and photo.dtype == np.uint8
    np.testing.assert_allclose(photo.reshape(-1, 3).mean(axis=0), [200, 100, 50], atol=3)


def test_other_modes_become_rgb():
    grey = decode_image(make_photo(90, mode="L"), 4, 4)
    np.testing.assert_allclose(grey, 90, atol=2)
    cmyk = decode_image(make_photo((0, 0, 0, 0), mode="CMYK"), 4, 4)
    np.testing.assert_allclose(cmyk, 255, atol=3)
    deep = decode_image(make_photo(0x8000, mode="I;16", kind="PNG"), 4, 4)
    np.testing.assert_allclose(deep, 0x80, atol=1)


def test_what_is_transparent_is_white():
    clear = decode_image(make_photo((0, 0, 0, 0), mode="RGBA", kind="PNG"), 4, 4)
    np.testing.assert_array_equal(clear, 255)


def test_a_photo_is_turned_as_its_camera_was():
    from PIL import Image

    image = Image.new("RGB", (40, 20), "white")
    image.paste("black", (0, 0, 20, 20))  # Black on the left.
    exif = image.getexif()
    exif[0x0112] = 6  # To be turned clockwise: the left becomes the top.
    import io

    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif, quality=95)
    photo = decode_image(buffer.getvalue(), 20, 20).mean(axis=2)
    assert photo[:8].max() < 40 and photo[-8:].min() > 215


def test_files_are_read_or_refused_by_reason(tmp_path):
    (tmp_path / "photo.gz").write_bytes(b"not packed")
    assert read_file(str(tmp_path / "photo.gz")) == b"not packed"
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ContentError, match=r"empty \(0 bytes\)"):
        read_file(str(tmp_path / "empty.jpg"))
    with pytest.raises(ContentError, match="no such file") as caught:
        read_file(str(tmp_path / "missing.jpg"))
    assert caught.value.is_missing
    with pytest.raises(ContentError, match="cannot be read") as caught:
        read_file(str(tmp_path))
    assert not caught.value.is_missing
    with pytest.raises(ContentError, match="cannot be read"):
        read_file("nowhere://bucket/photo.jpg")


def test_a_file_larger_than_any_photo_is_not_read_whole(tmp_path, monkeypatch):
    from tfx_pipeline.encoders import contents

    monkeypatch.setattr(contents, "MAX_FILE_BYTES", 2**20)
    (tmp_path / "large.jpg").write_bytes(b"\0" * (2**20 + 1))
    with pytest.raises(ContentError, match="larger than 1 MiB"):
        read_file(str(tmp_path / "large.jpg"))


def test_files_may_be_on_any_filesystem_that_beam_knows(memory_files):
    memory_files["memory://bucket/photo.jpg"] = make_photo("red")
    assert read_file("memory://bucket/photo.jpg") == make_photo("red")
    with pytest.raises(ContentError, match="no such file") as caught:
        read_file("memory://bucket/missing.jpg")
    assert caught.value.is_missing
