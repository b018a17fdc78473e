"""Tests of `trainables.settings`."""
