"""Rows on their way to a fit: split, surveyed, scaled, taken, streamed."""
