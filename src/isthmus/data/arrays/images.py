"""A folder of images of any sizes as an array of bytes (N, C, H, W), every image decoded once.

- Size: ``image_size``, else the commonest size among up to 1,000 of them, shrunk to 64 pixels on
  its long side if that is longer. Other sizes are stretched to it by Pillow's bicubic filter, which
  is widened where it shrinks, so that nothing aliases. Cameras' orientation is applied first.
- Colour: ``image_mode``, else one channel where every image is grey by its kind (or has a palette
  of greys), red, green and blue otherwise; a note counts those that were made so. Greys of colours
  are Pillow's (ITU-R 601-2 luma). What is transparent becomes white; 16 bits are scaled to 8.
- Files of several pictures (moving GIF, PNG and WebP, TIFF of several pages): the first is taken,
  and a warning counts such files. The second of a camera's MPO is passed over.
- Labels: the name of the first sub-folder, where every image lies in one. Some in sub-folders and
  some beside them is warned of, and nothing is labelled.
- The path of each below the folder, as ``files``.
- What cannot be decoded is left out and listed, up to a share. The size in a header is looked at
  before anything is decoded: no image of more than 64 million pixels is, and no more than those of
  all threads together at a time. An image is shrunk before its pixels are made into others.

Up to 256 MB are held in memory; more go to a temporary file.
"""

from __future__ import annotations

import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from threading import Condition
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from isthmus.data.arrays.files import RawFile
from isthmus.data.arrays.source import Arrays, InMemory, Rows
from isthmus.data.files.spool import Spool
from isthmus.errors import DataError, InvalidParameterError

if TYPE_CHECKING:
    from PIL.Image import Image

HELD = 1 << 28
"""Bytes of decoded images that are held in memory."""
LONGEST = 64
"""Pixels of the long side, unless ``image_size`` says otherwise."""
MAX_PIXELS = 64_000_000
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""What a file may hold, whatever its name says: Pillow starts a program for PostScript. Its JPEG
takes in MPO, the files of some cameras."""
MAX_SKIPPED = 0.01
"""Largest share of images that may be left out, unless ``max_skipped`` says otherwise."""
MODES = ("L", "RGB")
"""What images can be brought to, by Pillow's names: grey, or red, green and blue."""
_SAMPLE = 1000
_AT_ONCE = 256
_NAMED = 10
_THREADS = 4
_ORIENTATION = 0x0112
_GREY = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"}


class Look(NamedTuple):
    """What a header tells: (height, width) as it is to be seen, is it grey, are there more."""

    size: tuple[int, int]
    grey: bool
    several: bool


class Wanted(NamedTuple):
    """What is asked for.

    Args:
        image_size: (height, width), or one number for both; None for the commonest.
        image_mode: "L" for grey, "RGB" for colours; None to go by the images.
        max_skipped: largest share of images that may be left out.
    """

    image_size: int | tuple[int, int] | None = None
    image_mode: str | None = None
    max_skipped: float = MAX_SKIPPED


class Decoded(NamedTuple):
    """All images in one array, which of them are in it, names of the others, what is to be said."""

    rows: Rows
    kept: list[int]
    skipped: list[str]
    notes: list[str]

    def source(
        self,
        origin: str,
        labels: np.ndarray | None,
        label_names: Sequence[str] = (),
        files: Sequence[str] | None = None,
    ) -> Arrays:
        """The images as rows of what was opened, with the label and the file of each."""
        return Arrays(
            [self.rows],
            origin,
            layout="NCHW",
            labels=labels,
            label_names=tuple(label_names),
            skipped=self.skipped,
            notes=self.notes,
            files=files,
        )


def folder_of_images(
    paths: Sequence[Path], origin: str, wanted: Wanted, root: Path | None = None
) -> Arrays:
    """The images at these paths.

    Args:
        paths: in the order of the rows.
        origin: what was opened.
        wanted: what they are brought to.
        root: folder whose sub-folders are the labels.

    Raises:
        DataError: too many cannot be decoded, or nothing is left.
    """
    from PIL import Image

    def opened(path: Path) -> Image.Image:
        return Image.open(path, formats=FORMATS)

    found = decoded(paths, [str(path) for path in paths], opened, origin, wanted)
    kept = [paths[i] for i in found.kept]
    labels = None if root is None else _labels(kept, root, origin)
    names = () if labels is None else sorted(set(labels.tolist()))
    below = [path if root is None else path.relative_to(root) for path in kept]
    # a name that is no UTF-8 stands with marks in place of the bytes that are none
    files = [os.fsencode(path.as_posix()).decode(errors="replace") for path in below]
    return found.source(origin, labels, names, files)


def _labels(paths: Sequence[Path], root: Path, origin: str) -> np.ndarray | None:
    """The first sub-folder of each image; None unless every one lies in some."""
    parts = [path.relative_to(root).parts for path in paths]
    beside = [path for path, part in zip(paths, parts, strict=True) if len(part) == 1]
    if not beside:
        return np.array([part[0] for part in parts])
    if len(beside) < len(paths):
        warnings.warn(
            f"{origin} has no labels: {len(paths) - len(beside)} of its images lie in sub-folders "
            f"and {len(beside)} beside them, such as {beside[0]}. Sub-folders are labels where "
            "every image lies in one.",
            stacklevel=2,
        )
    return None


def decoded(
    items: Sequence[Any],
    names: Sequence[str],
    opened: Callable[[Any], Image],
    origin: str,
    wanted: Wanted,
) -> Decoded:
    """Images of any kind, brought to one size and mode."""
    from PIL import Image

    size, max_skipped = _asked(wanted), wanted.max_skipped
    faults: dict[int, str] = {}
    budget = _Budget(MAX_PIXELS)

    def used(i: int, use: Callable[[Image.Image], Any], made: int = 1) -> Any:
        """What is made of an image, of so many pixels, or in words why nothing is."""
        try:
            with opened(items[i]) as image, budget.held(max(_n_pixels(image), made)):
                return use(image)
        except Exception as error:  # Pillow's plugins raise whatever their parsers raise
            return [*str(error).splitlines(), type(error).__name__][0]

    with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
        warnings.simplefilter("ignore")  # odd tags are not the user's concern; bombs are an error
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        looks: dict[int, Look] = {}
        every = range(len(items))
        for i, look in _in_turn(pool, lambda i: used(i, _look), every, _AT_ONCE):
            if isinstance(look, str):
                faults[i] = look
            else:
                looks[i] = look
        _judge(faults, names, origin, max_skipped)
        some = list(looks)[:: max(1, len(looks) // _SAMPLE)]
        height, width = size or _commonest(looks[i].size for i in some)
        own = "L" if all(look.grey for look in looks.values()) else "RGB"
        grey = (wanted.image_mode or own) == "L"
        shape = (1 if grey else 3, height, width)
        kept: list[int] = []

        def pixels() -> Iterator[np.ndarray]:
            def one(i: int) -> Any:
                return used(
                    i, lambda image: to_pixels(image, (height, width), grey), height * width
                )

            at_once = max(1, min(_AT_ONCE, HELD // math.prod(shape)))
            for i, found in _in_turn(pool, one, looks, at_once):
                if isinstance(found, str):
                    faults[i] = found
                    _judge(faults, names, origin, max_skipped)
                else:
                    kept.append(i)
                    yield found

        rows = _gathered(pixels(), len(looks), shape, origin)
    skipped = [names[i] for i in sorted(faults)]
    if skipped:
        warnings.warn(
            f"{len(skipped)} of {len(items)} images of {origin} cannot be used and are left out: "
            f"{_listed(faults, names)}.",
            stacklevel=2,
        )
    several = [names[i] for i in kept if looks[i].several]
    if several:
        warnings.warn(
            f"{len(several)} of {len(items)} images of {origin} hold several pictures, such as "
            f"{several[0]}; of each the first is taken.",
            stacklevel=2,
        )
    notes = []
    if n := sum(looks[i].grey != grey for i in kept):
        were, made = ("in colour", "grey") if grey else ("grey", "red, green and blue")
        notes.append(f"{n} of {len(kept)} images of {origin} are {were} and were made {made}.")
    return Decoded(rows, kept, skipped, notes)


def to_pixels(image: Image, size: tuple[int, int], grey: bool) -> np.ndarray:
    """Bytes (C, H, W) of one image.

    >>> from PIL import Image
    >>> to_pixels(Image.new("RGB", (20, 10), "red"), (4, 5), grey=False)[:, 0, 0]
    array([255,   0,   0], dtype=uint8)
    """
    from PIL import Image, ImageOps

    height, width = size
    if image.mode == "RGB" and not grey:
        image.draft("RGB", (width, height))  # JPEG decodes at a half, a quarter, an eighth
    if image.getexif().get(_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    deep = image.mode.startswith("I")
    if image.mode in ("P", "PA", "1") or ("transparency" in image.info and not deep):
        image = image.convert("L" if image.mode == "1" else "RGBA")  # as such they do not blend
    if image.size != (width, height):
        gap = None if deep else 3.0  # what has 16 bits is averaged in one step
        image = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=gap)
    if deep:
        values = np.clip(np.asarray(image), 0, 65535).astype(np.uint32)
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.mode in ("LA", "La", "RGBA", "RGBa"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if grey else "RGB")
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if grey else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _n_pixels(image: Image) -> int:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels, more than {MAX_PIXELS // 10**6} million")
    return width * height


def _look(image: Image) -> Look:
    width, height = image.size
    if image.mode == "F":
        raise ValueError("pixels are fractions; save such images as .npy")
    turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)  # of a PNG this decodes it
    grey = image.mode in _GREY
    if image.mode == "P" and image.palette is not None:
        step = len(image.palette.rawmode or image.palette.mode)
        entries = np.frombuffer(bytes(image.palette.palette), np.uint8)
        palette = entries[: len(entries) // step * step].reshape(-1, step)[:, :3]
        grey = bool((palette == palette[:, :1]).all())
    return Look((width, height) if turned else (height, width), grey, _holds_several(image))


def _holds_several(image: Image) -> bool:
    """Whether pictures follow the first; cameras keep a preview or another view, as MPO."""
    try:
        return image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except Exception:  # what follows the first is damaged, and is not used
        return False


class _Budget:
    """Pixels that threads may hold at a time, all together."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._freed = Condition()

    @contextmanager
    def held(self, n: int) -> Iterator[None]:
        """Waits until n are left, or all if n is more than there are."""
        n = min(n, self._most)
        with self._freed:
            self._freed.wait_for(lambda: n <= self._left)
            self._left -= n
        try:
            yield
        finally:
            with self._freed:
                self._left += n
                self._freed.notify_all()


def _in_turn(
    pool: ThreadPoolExecutor, function: Callable[[int], Any], numbers: Iterable[int], at_once: int
) -> Iterator[tuple[int, Any]]:
    """Numbers and what the function gives for them; the next when some are done."""
    waiting = iter(numbers)
    while group := list(islice(waiting, at_once)):
        yield from zip(group, pool.map(function, group), strict=True)


def _listed(faults: dict[int, str], names: Sequence[str]) -> str:
    """The images that cannot be used, each with the reason; of many the first."""
    first = sorted(faults)[:_NAMED]
    shown = ", ".join(f"{names[i]} ({faults[i].removesuffix(f' {names[i]!r}')})" for i in first)
    return shown + (f" and {len(faults) - _NAMED} more" if len(faults) > _NAMED else "")


def _judge(faults: dict[int, str], names: Sequence[str], origin: str, max_skipped: float) -> None:
    """Refuse more faults than are allowed, or nothing else."""
    n, total = len(faults), len(names)
    if not faults or (n <= max_skipped * total and n < total):
        return
    shown = _listed(faults, names)
    if n == total:
        raise DataError(
            origin,
            f"must hold images that can be used; none of its {total} can: {shown}",
            "Check how they were made or copied.",
        )
    share = math.ceil(100 * n / total) / 100
    raise DataError(
        origin,
        f"must hold images that can be used, all but a share of {max_skipped:g}; {n} of {total} "
        f"cannot: {shown}",
        f"Mend or remove them, or allow more with max_skipped={share:g} (on the command line "
        f"--max-skipped {share:g}).",
    )


def _asked(wanted: Wanted) -> tuple[int, int] | None:
    """The size, if there is one, and everything is as it may be."""
    image_size, image_mode, max_skipped = wanted
    if not 0 <= max_skipped <= 1:
        raise InvalidParameterError(f"max_skipped={max_skipped!r}", "must be a share, from 0 to 1")
    if image_mode is not None and image_mode not in MODES:
        raise InvalidParameterError(
            f"image_mode={image_mode!r}", "must be 'L' (grey), 'RGB', or None to go by the images"
        )
    if image_size is None:
        return None
    pair = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(pair) != 2 or not all(1 <= s <= 8192 for s in pair):
        raise InvalidParameterError(
            f"image_size={image_size!r}",
            "must be a number of pixels or (height, width), each from 1 to 8192",
        )
    return pair[0], pair[1]


def _commonest(sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The largest of the commonest, shrunk."""
    counts = Counter(sizes)
    height, width = max(counts, key=lambda size: (counts[size], size))
    scale = min(1.0, LONGEST / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _gathered(pixels: Iterator[np.ndarray], n: int, shape: tuple[int, ...], origin: str) -> Rows:
    """At most ``n`` images in memory, or in a temporary file that is written from front to back."""
    dtype, name = np.dtype(np.uint8), f"images of {origin}"
    if n * int(np.prod(shape)) <= HELD:
        values = np.empty((n, *shape), dtype)
        count = 0
        for image in pixels:
            values[count] = image
            count += 1
        return InMemory(values[:count], name)
    spool, count = Spool(origin), 0
    with spool.writing("images") as path, path.open("wb") as file:
        for image in pixels:
            file.write(image.tobytes())
            count += 1
    return RawFile(path, name, (count, *shape), dtype, keep=spool)
