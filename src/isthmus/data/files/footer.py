"""What a Parquet file says of itself, checked before memory is set aside by it.

The footer tells how many rows each row group has, and pyarrow allocates for as many, whatever the
pages hold: 577 bytes with a damaged count took 8 GB.
"""

from __future__ import annotations

from typing import Any

from isthmus._machine import memory
from isthmus.errors import DataError

_BYTES = 8


def check(metadata: Any, origin: str) -> None:
    """Refuse counts that contradict one another, or that no memory holds.

    Args:
        metadata: of the file, pyarrow's.
        origin: what was opened.

    Raises:
        DataError: they do.
    """
    # no more than this is asked of it: pyarrow aborts on some columns of a damaged footer
    counts = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    if min(counts, default=0) < 0 or sum(counts) != metadata.num_rows:
        raise DataError(
            f"{origin}",
            f"cannot be read as Parquet (it tells of {metadata.num_rows} rows, and its parts of "
            f"{sum(counts)})",
            "The file is damaged: copy or make it again.",
        )
    needed = _BYTES * metadata.num_rows
    if needed > memory():
        raise DataError(
            f"{origin}",
            f"tells of {metadata.num_rows} rows, which do not fit into memory",
            "Take fewer rows.",
        )
