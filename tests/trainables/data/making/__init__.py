"""Tests of `trainables.data.making`."""
