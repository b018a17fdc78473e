"""Names of costs: time and memory, beside the metrics of a trial and apart from them."""

COSTS = "cost/"
"""The beginning of their names. They are never the same twice: shown, and not compared."""
