"""Fuzzing of everything that reads a file; see :mod:`fuzz.__main__`."""
