"""What a notebook shows: a search while it runs, its name, its report."""
