"""The sweeps, one file a family."""
