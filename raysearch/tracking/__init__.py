"""Trackers: readers of the events that write a search elsewhere."""
