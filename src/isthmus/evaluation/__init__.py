"""Figures that judge a code: pure functions that say their unit, range and direction."""
