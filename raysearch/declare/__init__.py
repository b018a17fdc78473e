"""The former name of `raysearch.sweeps`, which people's sweeps and kept code still import."""
