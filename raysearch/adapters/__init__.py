"""Callbacks for training loops of other libraries: reports, pruning, checkpoints, exact resume."""
