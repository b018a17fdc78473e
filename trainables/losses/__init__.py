"""Maths that several families optimise."""
