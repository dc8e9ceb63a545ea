"""Laws of a folder of images: bytes as Pillow decodes them, labels, and what is left out."""

from __future__ import annotations

import gc
import io
import itertools
import os
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

import isthmus
from isthmus import DataError, open_data
from isthmus.data.arrays import images
from isthmus.data.source import Source, in_memory
from isthmus.errors import InvalidParameterError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (6, 12, 10), dtype=np.uint8)
COLOUR = RNG.integers(0, 255, (6, 12, 10, 3), dtype=np.uint8)


def folder_of(path: Path, pixels: np.ndarray, ending: str = ".png", **options: Any) -> Path:
    path.mkdir(exist_ok=True, parents=True)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(path / f"{i}{ending}", **options)
    return path


@pytest.mark.parametrize("held", [None, 0], ids=["in memory", "spooled"])
@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".webp", ".gif"])
@pytest.mark.parametrize("colour", [False, True])
def test_pixels_are_kept(
    colour: bool, ending: str, held: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if held is not None:
        monkeypatch.setattr(images, "HELD", held)
    if colour and ending == ".gif":
        pytest.skip("GIF has 256 colours")
    pixels = COLOUR if colour else GREY
    options = {"lossless": True, "exact": True} if ending == ".webp" else {}
    source = open_data(folder_of(tmp_path, pixels, ending, **options))
    expected = pixels.transpose(0, 3, 1, 2) if colour else pixels[:, None]
    if ending == ".webp" and not colour:  # it knows no grey
        expected = np.repeat(expected, 3, axis=1)
    assert isinstance(source, Source)
    assert source.feature_shape == expected.shape[1:]
    assert source.dtype == np.uint8
    for _ in range(2):
        np.testing.assert_array_equal(in_memory(source), expected)
    assert isthmus.describe(source).maximum == expected.max()


def test_a_spool_of_images_is_gone_with_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(images, "HELD", 0)
    source = open_data(folder_of(tmp_path / "x", GREY))
    assert list((tmp_path / "tmp").glob("*/images"))
    del source
    gc.collect()
    assert not list((tmp_path / "tmp").iterdir())


def test_sub_folders_are_labels(tmp_path: Path) -> None:
    folder_of(tmp_path / "dog" / "big", GREY[:2])
    folder_of(tmp_path / "cat", GREY[2:])
    source: Any = open_data(tmp_path)
    assert source.labels.tolist() == ["cat"] * 4 + ["dog"] * 2
    assert source.label_names == ("cat", "dog")
    np.testing.assert_array_equal(in_memory(source)[:, 0], np.concatenate([GREY[2:], GREY[:2]]))
    folder_of(tmp_path, GREY[:1])
    with pytest.warns(
        UserWarning, match="has no labels: 6 of its images lie in sub-folders and 1 b"
    ):
        assert open_data(tmp_path).labels is None
    assert open_data(str(tmp_path / "cat" / "*.png")).lengths == (4,)


def flat(mode: str, colour: Any) -> Image.Image:
    return Image.new(mode, (10, 12), colour)


def palette(colours: list[int]) -> Image.Image:
    image = Image.new("P", (10, 12), 1)
    image.putpalette(colours)
    return image


MODES: dict[str, tuple[Image.Image, list[int]]] = {
    "grey": (flat("L", 7), [7]),
    "two levels": (flat("1", 1), [255]),
    "16 bits": (Image.fromarray(np.full((12, 10), 257 * 9, np.uint16)), [9]),
    "colour": (flat("RGB", (1, 2, 3)), [1, 2, 3]),
    "grey and see-through": (flat("LA", (7, 0)), [255]),
    "see-through": (flat("RGBA", (1, 2, 3, 0)), [255, 255, 255]),
    "opaque": (flat("RGBA", (1, 2, 3, 255)), [1, 2, 3]),
    "palette": (palette([0, 0, 0, 4, 5, 6]), [4, 5, 6]),
    "palette of greys": (palette([0, 0, 0, 4, 4, 4]), [4]),
    "ink": (flat("CMYK", (0, 0, 0, 255)), [0, 0, 0]),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_pixel_becomes_bytes(mode: str, tmp_path: Path) -> None:
    image, expected = MODES[mode]
    image.save(tmp_path / ("x.tif" if mode == "ink" else "x.png"))
    x = in_memory(open_data(tmp_path))
    assert x.shape == (1, len(expected), 12, 10)
    assert x[0, :, 0, 0].tolist() == expected


@pytest.mark.parametrize("wanted", images.MODES)
@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_pixel_is_brought_to_the_mode_that_is_asked_for(
    mode: str, wanted: str, tmp_path: Path
) -> None:
    image, own = MODES[mode]
    image.save(tmp_path / ("x.tif" if mode == "ink" else "x.png"))
    source: Any = open_data(tmp_path, image_mode=wanted)
    expected = flat("L" if len(own) == 1 else "RGB", own[0] if len(own) == 1 else tuple(own))
    pixels = np.asarray(expected.convert(wanted)).reshape(12, 10, -1).transpose(2, 0, 1)
    np.testing.assert_array_equal(in_memory(source)[0], pixels)
    assert bool(source.notes) == ((len(own) == 1) != (wanted == "L"))


def test_what_becomes_of_colours_is_counted(tmp_path: Path) -> None:
    folder_of(tmp_path / "some", COLOUR[:2])
    folder_of(tmp_path / "some" / "more", GREY[:3])
    notes = {}
    for mode in (None, *images.MODES):
        source: Any = open_data(f"{tmp_path}/some/**/*.png", image_mode=mode)
        notes[mode] = [note.replace(str(tmp_path), "") for note in source.notes]
    said = "2 of 5 images of /some/**/*.png are in colour and were made grey."
    also = "3 of 5 images of /some/**/*.png are grey and were made red, green and blue."
    assert notes == {None: [also], "L": [said], "RGB": [also]}
    with pytest.raises(InvalidParameterError, match="image_mode='CMYK' must be 'L'"):
        open_data(tmp_path, image_mode="CMYK")


@pytest.mark.parametrize("ending", [".gif", ".png", ".tif", ".webp"])
def test_of_several_pictures_the_first_is_taken_and_it_is_said(ending: str, tmp_path: Path) -> None:
    folder_of(tmp_path, GREY[:1])
    first, *others = [Image.fromarray(pixels) for pixels in GREY[1:4]]
    options = {"lossless": True} if ending == ".webp" else {}
    first.save(tmp_path / f"x{ending}", save_all=True, append_images=others, **options)
    with pytest.warns(UserWarning, match=f"1 of 2 images .*x{ending}; of each the first is taken"):
        x = in_memory(open_data(tmp_path, image_mode="L"))
    np.testing.assert_array_equal(x[:, 0], GREY[:2])


SIZES: dict[str, tuple[list[tuple[int, int]], Any, tuple[int, int]]] = {
    "the commonest": ([(30, 20), (30, 20), (50, 40)], None, (20, 30)),
    "shrunk": ([(300, 200)], None, (43, 64)),
    "asked for": ([(30, 20), (50, 40)], (7, 9), (7, 9)),
    "square": ([(30, 20)], 8, (8, 8)),
}


@pytest.mark.parametrize("case", SIZES)
def test_sizes(case: str, tmp_path: Path) -> None:
    sizes, asked, expected = SIZES[case]
    for i, size in enumerate(sizes):
        Image.new("L", size, 99).save(tmp_path / f"{i}.png")
    x = in_memory(open_data(tmp_path, image_size=asked))
    assert x.shape[1:] == (1, *expected)
    assert (x == 99).all()


def test_a_camera_may_keep_two_pictures_in_a_file(tmp_path: Path) -> None:
    left, right = Image.new("L", (16, 12), 9), Image.new("L", (16, 12), 200)
    left.save(tmp_path / "x.jpg", "MPO", save_all=True, append_images=[right])
    with Image.open(tmp_path / "x.jpg") as image:
        assert image.format == "MPO"
    assert np.abs(in_memory(open_data(tmp_path)).astype(int) - 9).max() <= 1


BOARD = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
BOARDS = {
    "L": Image.fromarray(BOARD),
    "I;16": Image.fromarray(257 * BOARD.astype(np.uint16)),
    "see-through": Image.fromarray(np.stack([0 * BOARD, 255 - BOARD], -1), "LA"),
} | {mode: Image.fromarray(BOARD).convert(mode) for mode in ("1", "P", "RGB", "LA", "CMYK")}


@pytest.mark.parametrize("mode", BOARDS)
def test_shrinking_averages(mode: str, tmp_path: Path) -> None:
    BOARDS[mode].save(tmp_path / ("x.tif" if mode == "CMYK" else "x.png"))
    x = in_memory(open_data(tmp_path, image_size=8))
    assert np.abs(x.astype(float) - 127.5).max() < 4  # sampled, it would be black or white


def test_pixels_that_are_held_at_a_time_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(24):
        Image.new("L", (40, 10 + 10 * (i % 4)), i).save(tmp_path / f"{i}.png")
    lock, held, most = threading.Lock(), 0, 0
    to_pixels = images.to_pixels

    def counted(image: Image.Image, *given: Any) -> np.ndarray:
        nonlocal held, most
        with lock:
            held += image.width * image.height
            most = max(most, held)
        time.sleep(0.002)
        found = to_pixels(image, *given)
        with lock:
            held -= image.width * image.height
        return found

    monkeypatch.setattr(images, "to_pixels", counted)
    monkeypatch.setattr(images, "MAX_PIXELS", 1600)
    x = in_memory(open_data(tmp_path, image_size=(5, 4)))
    assert x[:, 0, 0, 0].tolist() == list(range(24))
    assert 0 < most <= 1600


def test_work_is_handed_out_bit_by_bit() -> None:
    handed: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        numbers = (handed.append(i) or i for i in itertools.count())  # type: ignore[func-returns-value]
        found = list(itertools.islice(images._in_turn(pool, lambda i: i * i, numbers, 3), 4))
    assert found == [(0, 0), (1, 1), (2, 4), (3, 9)]
    assert len(handed) == 6


def test_large_images_of_16_bits_take_little_memory(tmp_path: Path) -> None:
    for i in range(4):
        deep = np.full((4000, 4000), 257 * i, np.uint16)
        Image.fromarray(deep).save(tmp_path / f"{i}.png", compress_level=1)
    program = (
        "import resource, sys, isthmus; from isthmus.data.source import in_memory\n"
        "most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "from PIL import Image; Image.init(); before = most()\n"
        "x = in_memory(isthmus.open_data(sys.argv[1]))\n"
        "print(*x[:, 0, 0, 0], most() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    *values, more = map(int, done.stdout.split())
    assert values == [0, 1, 2, 3]
    assert more < 400  # megabytes; as floats all four would be 1,600


def test_a_camera_on_its_side_is_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(np.repeat(np.array([0, 255], np.uint8), 16).reshape(1, 32).repeat(8, 0))
    image.save(tmp_path / "x.jpg", exif=exif, quality=100)
    x = in_memory(open_data(tmp_path))
    assert x.shape == (1, 1, 32, 8)
    assert x[0, 0, 2].max() < 40
    assert x[0, 0, -3].min() > 215


def png(width: int, height: int) -> bytes:
    """A header that promises, and no pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def cut() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(RNG.integers(0, 255, (50, 50), dtype=np.uint8)).save(buffer, "png")
    return buffer.getvalue()[:900]


def fractions() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ones((5, 5), np.float32)).save(buffer, "tiff")
    return buffer.getvalue()


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 12\n%%EndComments\nshowpage\n"

FAULTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "cannot identify"),
    "rubbish": (lambda: b"rubbish" * 99, "cannot identify"),
    "PostScript": (lambda: POSTSCRIPT, "cannot identify"),
    "cut short": (cut, "truncated|broken|end of file"),
    "wide": (lambda: png(100_000, 1000), "exceeds limit|pixels"),
    "a bomb": (lambda: png(60_000, 60_000), "exceeds limit|decompression bomb"),
    "large": (lambda: png(8001, 8001), "8001 x 8001 pixels, more than 64 million"),
    "fractions": (fractions, "fractions; save such images as .npy"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_cannot_be_decoded_is_left_out_and_told(case: str, tmp_path: Path) -> None:
    make, sentence = FAULTS[case]
    folder_of(tmp_path, GREY)
    (tmp_path / "2x.png").write_bytes(make())
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(DataError, match=rf"1 of 7 cannot: .*2x.png \(.*({sentence})"):
        open_data(tmp_path)
    with pytest.warns(UserWarning, match=r"1 of 7 images of .* left out: .*2x.png"):
        source: Any = open_data(tmp_path, max_skipped=0.2)
    assert source.skipped == (str(tmp_path / "2x.png"),)
    np.testing.assert_array_equal(in_memory(source)[:, 0], GREY)
    assert isthmus.describe(source).skipped == source.skipped
    assert limit == Image.MAX_IMAGE_PIXELS


def test_no_image_starts_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs, mark = tmp_path / "programs", tmp_path / "started"
    programs.mkdir()
    for name in ("gs", "gswin32c", "gswin64c"):
        (programs / name).write_text(f"#!/bin/sh\necho 10.0 >> '{mark}'\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    evil = folder_of(tmp_path / "x", GREY) / "evil.png"
    evil.write_bytes(POSTSCRIPT)
    with pytest.raises(OSError), Image.open(evil) as image:
        image.load()
    assert mark.exists()  # else the stub proves nothing
    mark.unlink()
    with pytest.warns(UserWarning, match="evil.png"):
        source: Any = open_data(tmp_path / "x", max_skipped=0.5)
    assert source.skipped == (str(evil),)
    assert not mark.exists()


def test_labels_are_those_of_the_images_that_stay(tmp_path: Path) -> None:
    folder_of(tmp_path / "a", GREY[:3])
    folder_of(tmp_path / "b", GREY[3:])
    (tmp_path / "a" / "0.png").write_bytes(cut())
    with pytest.warns(UserWarning, match="left out"):
        source = open_data(tmp_path, max_skipped=0.5)
    assert source.labels is not None
    assert source.labels.tolist() == ["a", "a", "b", "b", "b"]


def test_nothing_but_faults_is_an_error_whatever_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"rubbish")
    with pytest.raises(DataError, match="none of its 1 can"):
        open_data(tmp_path, max_skipped=1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"image_size": 0}, "image_size=0 must be"),
        ({"image_size": (5, 5, 5)}, "image_size="),
        ({"max_skipped": 2}, "max_skipped=2 must be a share"),
        ({"label": "x"}, "labels are its sub-folders"),
        ({"drop": ["x"]}, "no names of columns"),
    ],
)
def test_options_are_checked(options: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match=sentence):
        open_data(folder_of(tmp_path, GREY), **options)


class Feature:
    pass


Feature.__name__ = "Image"


class Classes:
    names = ("cat", "dog")


class Hub:
    """The face of a Hugging Face dataset with images."""

    column_names = ("image", "label")

    @property
    def features(self) -> dict[str, Any]:
        return {"image": Feature(), "label": Classes()}

    def __len__(self) -> int:
        return len(GREY)

    def __getitem__(self, key: Any) -> Any:
        if key == "label":
            return [i % 2 for i in range(len(GREY))]
        return {"image": Image.fromarray(GREY[key]), "label": key % 2}


def test_images_of_a_hub_dataset() -> None:
    source: Any = open_data(Hub())
    np.testing.assert_array_equal(in_memory(source)[:, 0], GREY)
    assert source.labels.tolist() == ["cat", "dog"] * 3
    assert source.label_names == ("cat", "dog")


def test_images_of_a_torch_dataset() -> None:
    import torch

    class Set(torch.utils.data.Dataset[Any]):
        targets = (0, 1, 0, 1, 0, 1)

        def __len__(self) -> int:
            return len(COLOUR)

        def __getitem__(self, i: int) -> Any:
            return Image.fromarray(COLOUR[i]), self.targets[i]

    source = open_data(Set())
    assert source.dtype == np.uint8
    np.testing.assert_array_equal(in_memory(source), COLOUR.transpose(0, 3, 1, 2))
    assert source.labels is not None
    assert source.labels.tolist() == list(Set.targets)
