"""The study: samplers, pruners, repeats and failures, rebuilt from the events of a search."""
