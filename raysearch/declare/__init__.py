"""Declare: what a sweep states, what its space holds, where sweeps are found."""
