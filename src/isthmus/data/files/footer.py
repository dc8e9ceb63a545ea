"""What a Parquet file says of itself, checked before memory is set aside by it.

The footer tells how many rows each row group has, and pyarrow allocates for as many, whatever the
pages hold: 577 bytes with a damaged count took 8 GB.

Parquet has no categories: Arrow gives them back where they are words, and numbers as numbers alone.
That they were categories in a DataFrame is what pandas wrote into the footer.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

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


def with_categories(schema: pa.Schema) -> pa.Schema:
    """The schema with categories for the numbers that were such in pandas, in no order.

    Of ordered ones the order is lost, so that they stay numbers, which have one.

    >>> import pandas as pd
    >>> table = pa.Table.from_pandas(pd.DataFrame({"a": pd.Categorical([3, 1])}))
    >>> read = pa.schema([pa.field("a", pa.int64())], table.schema.metadata)  # as from Parquet
    >>> with_categories(read).field("a").type
    DictionaryType(dictionary<values=int64, indices=int32, ordered=0>)
    """
    told = (schema.pandas_metadata or {}).get("columns")
    names = {
        str(one.get("field_name"))
        for one in (told if isinstance(told, list) else ())
        if isinstance(one, dict)
        and one.get("pandas_type") == "categorical"
        and isinstance(about := one.get("metadata"), dict)
        and not about.get("ordered")
    }
    fields = [
        field.with_type(pa.dictionary(pa.int32(), field.type))
        if field.name in names and _is_number(field.type)
        else field
        for field in schema
    ]
    return pa.schema(fields, schema.metadata)


def as_categories(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with those columns as categories that are so in the schema."""
    for j, field in enumerate(table.schema):
        if _is_number(field.type) and pa.types.is_dictionary(schema.field(field.name).type):
            column = table.column(j).dictionary_encode()
            table = table.set_column(j, schema.field(field.name), column)
    return table


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
