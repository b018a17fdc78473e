"""Tests of `trainables.synthetic`."""
