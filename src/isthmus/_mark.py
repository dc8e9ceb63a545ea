"""What tells the folder of a run from a folder of data, before either is opened.

Other programs write a ``config.json`` and a ``history.json`` beside data too, so a name alone says
nothing. A run that was cut short or altered is still a run: what is wrong with it is told by
:mod:`isthmus.runs.directory`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

FORMAT = "isthmus-run"
CONFIG, TENSORS = "config.json", "model.safetensors"
# The format comes first; a megabyte, should others have written the file anew.
_HEAD = 1 << 20
_NAMED = re.compile(rb'"format"\s*:\s*"' + FORMAT.encode() + b'"')


def is_run(path: str | os.PathLike[str]) -> bool:
    """Whether the folder's ``config.json`` names the format, or is no JSON beside a model.

    >>> is_run("/no/such/folder")
    False
    """
    folder = Path(path)
    try:
        with (folder / CONFIG).open("rb") as file:
            head = file.read(_HEAD)
    except (OSError, ValueError):  # ValueError: a name with a null
        head = b""
    if _NAMED.search(head):
        return True
    try:
        other = head.lstrip().startswith((b"{", b"["))
        return not other and (folder / TENSORS).stat().st_size > 0
    except (OSError, ValueError):
        return False
