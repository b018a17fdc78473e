"""Provenance: source code, environment and archive of a search, and its reproduction."""
