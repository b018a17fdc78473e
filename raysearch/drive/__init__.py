"""Drive: one search as its driver sees it: attempts, their news, clocks, quota, winners."""
