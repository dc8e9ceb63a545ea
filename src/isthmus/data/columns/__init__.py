"""Columns of any kind: what they are, what they are called, and the matrix they make."""
