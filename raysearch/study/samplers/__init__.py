"""Samplers by name: the exact grid, Optuna's, and the settings of an evaluating sweep."""
