"""Objects of other packages, told by what they offer; none of these packages is imported here.

A map-style ``Dataset`` of torch is asked for every row whenever it is read. It must give the same
row every time; one that draws random changes gives other rows in every epoch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from isthmus.data.arrays.images import Wanted, decoded
from isthmus.data.arrays.source import Arrays
from isthmus.data.arrays.wrapped import unwrapped
from isthmus.data.columns.converted import of_pandas
from isthmus.data.files.shards import Memory, Shard, block_rows, stretches
from isthmus.data.tables import refuse_duplicates
from isthmus.errors import DataError


def packages_of(data: Any) -> set[str]:
    """The packages that the classes of an object are from."""
    return {cls.__module__.partition(".")[0] for cls in type(data).__mro__}


def arrow_of_frame(data: Any, name: str) -> pa.Table:
    """A DataFrame of pandas or polars, or whatever speaks Arrow, as a table.

    Raises:
        DataError: a column mixes kinds, or is all there is.
    """
    if hasattr(data, "to_frame"):
        raise DataError(
            f"a {type(data).__name__}", "must be a table, not a single column", "Give X.to_frame()."
        )
    if hasattr(data, "columns"):
        refuse_duplicates([str(column) for column in data.columns], name)
    try:
        if "pandas" in packages_of(data):
            table = of_pandas(data, name)
        elif hasattr(data, "to_arrow"):
            table = data.to_arrow()
        else:
            table = pa.table(data)
    except DataError:
        raise
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise DataError(
            name,
            f"cannot be read as a table ({' '.join(map(str, error.args)).splitlines()[0]})",
            "Every column must hold values of one kind.",
        ) from error
    return table.replace_schema_metadata(None)


class TorchRows:
    """The rows of a map-style dataset, one at a time: a tensor, array or image, or (row, label)."""

    chunk = 1

    def __init__(self, data: Any, name: str) -> None:
        self.name = name
        self._data = data
        try:
            n = len(data)
        except (TypeError, NotImplementedError) as error:
            raise DataError(
                name,
                "must know its length and give any row by number; it only gives rows in turn",
                "Take the rows into an array or a file first: np.stack(list(data)).",
            ) from error
        first = self._row(0) if n else np.empty((0,), np.float32)
        self.shape: tuple[int, ...] = (n, *first.shape)
        self.dtype = first.dtype

    def part(self, start: int, stop: int) -> np.ndarray:
        """Rows that are asked for now."""
        values = np.empty((stop - start, *self.shape[1:]), self.dtype)
        for i in range(start, stop):
            row = self._row(i)
            if row.shape != self.shape[1:]:
                raise DataError(
                    f"row {i} of {self.name}",
                    f"must have the shape of row 0, {self.shape[1:]}; its shape is {row.shape}",
                )
            if not np.can_cast(row.dtype, self.dtype, "same_kind"):
                raise DataError(
                    f"row {i} of {self.name}",
                    f"must have the type of row 0, {self.dtype}; its type is {row.dtype}",
                )
            values[i - start] = row
        return values

    def item(self, i: int) -> Any:
        """What the dataset gives.

        Raises:
            DataError: it fails.
        """
        try:
            return self._data[i]
        except Exception as error:  # a user's own code
            raise DataError(
                f"row {i} of {self.name}", f"cannot be read ({type(error).__name__}: {error})"
            ) from error

    def _row(self, i: int) -> np.ndarray:
        item = self.item(i)
        if isinstance(item, tuple | list) and item and _is_row(item[0]):
            item = item[0]  # beside its label
        elif isinstance(item, tuple):
            raise DataError(
                self.name,
                f"must give rows; it gives {len(item)} values in a tuple, which may be a row, or a "
                "number and its label",
                "Give lists or arrays where they are rows.",
            )
        row = array_of(item, self.name)
        if row.ndim == 0:
            raise DataError(self.name, "must give rows; it gives single numbers")
        return row


def torch_source(data: Any, origin: str, layout: str | None, label: str | None) -> Arrays:
    """The rows of a map-style dataset, labelled by its ``targets`` or second tensor if it has any.

    Otherwise ``label="target"`` takes the second of what it gives for a row, in one pass now.
    """
    rows = TorchRows(data, origin)
    n, labels = rows.shape[0], getattr(data, "targets", None)
    tensors: Sequence[Any] = getattr(data, "tensors", ())
    if labels is None and len(tensors) == 2 and tensors[1].ndim == 1:
        labels = tensors[1]
    if labels is None and label is not None:
        first: Any = rows.item(0)
        if not isinstance(first, tuple | list) or len(first) < 2:
            raise DataError(f"label={label!r}", f"has no meaning for {origin}: it gives no labels")
        found = [rows.item(i)[1] for i in range(n)]
        labels = [x.item() if hasattr(x, "item") else x for x in found]
    array = None if labels is None else _labels_of(labels, n)
    names = tuple(map(str, getattr(data, "classes", ())))
    return Arrays([rows], origin, layout=layout, labels=array, label_names=names)


def _labels_of(labels: Any, n: int) -> np.ndarray | None:
    array = np.asarray(labels.cpu() if hasattr(labels, "cpu") else labels)
    return array if array.shape == (n,) and array.dtype.kind in "biufU" else None


def array_of(value: Any, name: str) -> np.ndarray:
    """A tensor, an image or an array as an array; images with their channels first."""
    if _is_image(value):
        pixels = np.asarray(value if value.mode in ("L", "RGB") else value.convert("RGB"))
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    value = unwrapped(value, name, dense=True)
    try:
        array = np.asarray(value)
    except ValueError:  # lists of several lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "biuf":
        raise DataError(
            name,
            f"must give rows of numbers; it gives {type(value).__name__}",
            "Give tensors or arrays, or (row, label).",
        )
    return array


def _is_row(value: Any) -> bool:
    """Whether it has axes of its own, and so is no single number."""
    return isinstance(value, list | tuple) or getattr(value, "ndim", 0) > 0 or _is_image(value)


def _is_image(value: Any) -> bool:
    return "PIL" in packages_of(value)


def is_iterable_only(data: Any) -> bool:
    """Whether rows come in turn only, as from torch's or Hugging Face's IterableDataset."""
    names = {cls.__name__ for cls in type(data).__mro__}
    return "IterableDataset" in names or "IterableDatasetDict" in names


def is_hub_dataset(data: Any) -> bool:
    """Whether it has the face of a Hugging Face dataset."""
    return hasattr(data, "features") and hasattr(data, "column_names") and hasattr(data, "__len__")


class HubShard:
    """The rows of a Hugging Face dataset whose order is not that of its files, block by block."""

    notes: Sequence[str] = ()

    def __init__(self, data: Any, name: str) -> None:
        self.name = name
        if not hasattr(data, "with_format"):
            raise DataError(
                name,
                "cannot be opened: it has columns, as of Hugging Face, and no with_format",
                "Give the rows as an Arrow table or a DataFrame.",
            )
        self._data = data.with_format("arrow")
        self.schema = self._data[0:1].schema.remove_metadata()
        self._parts = stretches(len(data), block_rows(self.schema))
        self.lengths = tuple(stop - start for start, stop in self._parts)

    def tables(self, piece: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        """One slice."""
        start, stop = self._parts[piece]
        yield self._data[start:stop].select(list(columns))


def hub_shard(data: Any, name: str) -> Shard:
    """The table below a Hugging Face dataset, or its slices where rows were chosen or reordered."""
    table = getattr(getattr(data, "data", None), "table", None)
    if isinstance(table, pa.Table) and getattr(data, "_indices", None) is None:
        return Memory(table.replace_schema_metadata(None), name)
    return HubShard(data, name)


def image_column(data: Any) -> str | None:
    """The first column of images."""
    features = data.features.items() if isinstance(data.features, dict) else ()
    kinds = ((name, type(feature).__name__) for name, feature in features)
    return next((name for name, kind in kinds if kind == "Image"), None)


def hub_images(
    data: Any,
    column: str,
    name: str,
    label: str | None,
    wanted: Wanted,
) -> Arrays:
    """The column of images, every one decoded once; a column of class names as labels."""
    if label is None:
        label = next((c for c, f in data.features.items() if hasattr(f, "names")), None)
    titles = [f"row {i} of {name}" for i in range(len(data))]

    def opened(i: int) -> Any:
        return data[i][column]

    found = decoded(range(len(data)), titles, opened, name, wanted)
    labels, names = None, ()
    if label is not None:
        if label not in data.column_names:
            raise DataError(f"label={label!r}", f"must name a column of {name}")
        labels = np.array(data[label][:])[found.kept]
        names = tuple(getattr(data.features[label], "names", ()))
        if names:
            labels = np.array(names)[labels]
    return found.source(name, labels, names)


def is_torch_dataset(data: Any) -> bool:
    """Whether it is a dataset of torch, which whoever made it has imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(data, torch.utils.data.Dataset)
