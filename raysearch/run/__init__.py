"""Run: the host of a trial, the process in it, and its checkpoints."""
