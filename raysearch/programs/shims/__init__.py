"""Modules for the path of a program: of the standard library alone, for Python 3.8 on."""
