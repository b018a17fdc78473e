"""Results read from events: trials, ranking, intervals, test scores, tables, comparison."""
