"""The server on a head node: gateway, MLflow, database, slot broker, submitted searches."""
