"""Separated text: how it is written, what its columns are columns of, and the tables it gives."""
