"""Names of costs: time, memory and energy, beside the metrics of a trial and apart from them."""

COSTS = "cost/"
"""The beginning of their names. They are never the same twice: shown, and not compared."""
CPU_SECONDS, ENERGY, MEMORY = f"{COSTS}cpu_seconds", f"{COSTS}energy_wh", f"{COSTS}memory_mib"
"""What is measured of each attempt: CPU time and energy since it began, and its memory."""
