"""A temporary folder for rows that are costly to read twice; gone with its last user."""

from __future__ import annotations

import errno
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isthmus.errors import DataError


class Spool:
    """A folder that is removed when nobody holds this object any more, or when Python ends.

    >>> spool = Spool("x.csv")
    >>> folder = spool.folder
    >>> del spool
    >>> folder.exists()
    False
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        with self._disk(Path(tempfile.gettempdir())):
            self.folder = Path(tempfile.mkdtemp(prefix="isthmus-"))
        self._end = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A file to write in the folder; where that goes wrong, it is not left there.

        Raises:
            DataError: the disk is full, or may not be written.
        """
        path = self.folder / name
        try:
            with self._disk(self.folder):
                yield path
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    @contextmanager
    def _disk(self, folder: Path) -> Iterator[None]:
        try:
            yield
        except DataError:
            raise
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
            raise DataError(
                self.origin,
                f"needs a temporary file, and {str(folder)!r} "
                + ("is full" if full else f"cannot be written ({error.strerror or error})"),
                "Free some space, or name another folder in the environment variable TMPDIR.",
            ) from error
