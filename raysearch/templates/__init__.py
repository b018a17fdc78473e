"""Files to begin with: an experiment of one's own."""
