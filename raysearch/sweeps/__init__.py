"""Sweeps: what a sweep states, the points of its space, and where sweeps are found."""
