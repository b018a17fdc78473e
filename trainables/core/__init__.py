"""The base of every experiment: loop, configuration, schedules, checkpoints, evaluation."""
