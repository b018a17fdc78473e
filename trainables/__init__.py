"""The experiments; they know no service."""
