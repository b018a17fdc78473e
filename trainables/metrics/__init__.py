"""Evaluations, each with its range and convention."""
