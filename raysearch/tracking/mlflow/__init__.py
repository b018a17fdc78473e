"""MLflow: experiments, runs, saved views and artifacts of a search."""
