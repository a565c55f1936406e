"""Image files as people have them: rotated, transparent, gray, CMYK, broken, lying about their size."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kerasal import images


@pytest.fixture
def picture():
    """Red left, blue right, 6 rows by 10 columns."""
    pixels = np.zeros((6, 10, 3), np.uint8)
    pixels[:, :5] = (200, 0, 0)
    pixels[:, 5:] = (0, 0, 200)
    return pixels


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".gif"])
def test_lossless_files_come_back_as_they_were(suffix, picture, tmp_path):
    Image.fromarray(picture).save(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(images.read(tmp_path / f"a{suffix}"), picture)


def test_exif_rotation(picture, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate 90 degrees clockwise to view
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(images.read(tmp_path / "a.png"), np.rot90(picture, -1))


def test_transparency_is_laid_on_white(tmp_path):
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 3] = (0, 255, 51)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert images.read(tmp_path / "a.png")[0, :, 0].tolist() == [255, 0, 204]


def test_gray_palette_bits_and_sixteen_bits(tmp_path):
    gray = np.uint8([[0, 100, 255]])
    Image.fromarray(gray).save(tmp_path / "gray.png")
    Image.fromarray(gray).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(gray.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    for name in ("gray", "palette", "sixteen"):
        read = images.read(tmp_path / f"{name}.png")
        assert read.shape == (1, 3, 3)
        assert read[0, :, 1].tolist() == [0, 100, 255], name


def test_cmyk(tmp_path):
    Image.new("RGB", (8, 8), (255, 0, 0)).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert np.abs(images.read(tmp_path / "a.jpg").reshape(-1, 3).mean(0) - [255, 0, 0]).max() < 12


def _png_claiming(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [12_000, 50_000])
def test_a_png_that_claims_to_be_huge_is_refused_before_decoding(side, tmp_path, monkeypatch):
    (tmp_path / "bomb.png").write_bytes(_png_claiming(side, side))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"bomb\.png (must have at most|has too many)"):
        images.read(tmp_path / "bomb.png")


def test_broken_files_are_named(picture, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    for name, content in (
        ("truncated.jpg", whole[: len(whole) // 2]),
        ("header.jpg", whole[:30]),
        ("empty.jpg", b""),
        ("text.jpg", b"not an image"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            images.read(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"missing\.jpg"):
        images.read(tmp_path / "missing.jpg")
    with pytest.raises(ValueError, match="got the folder"):
        images.read(tmp_path)


def test_write(picture, tmp_path):
    images.write(tmp_path / "new" / "a.png", picture)
    np.testing.assert_array_equal(images.read(tmp_path / "new" / "a.png"), picture)
    with pytest.raises(ValueError, match=r"\.png"):
        images.write(tmp_path / "a.xyz", picture)
    with pytest.raises(ValueError, match="uint8"):
        images.write(tmp_path / "a.png", picture / 255)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_disk_that_fills_up_leaves_nothing(picture, tmp_path, monkeypatch):
    def full(self, path, **_):
        with open(path, "wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space left"):
        images.write(tmp_path / "a.png", picture)
    assert not list(tmp_path.iterdir())
