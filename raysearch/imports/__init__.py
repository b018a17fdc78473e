"""Imports: sweeps of W&B and of Hydra, read as sweeps of ours."""
