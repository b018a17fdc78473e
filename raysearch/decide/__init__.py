"""Decide: the study, its samplers and pruners, and what a failure means."""
