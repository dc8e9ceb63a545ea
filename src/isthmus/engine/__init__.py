"""Trains any module whose forward returns {name: (N,)}: a generator of rounds of steps."""
