"""The service: a search over any experiment with Ray, Optuna and MLflow; knows no experiment."""
