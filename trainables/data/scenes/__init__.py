"""Scenes of several objects: readers of the published files, and the stores made of them."""
