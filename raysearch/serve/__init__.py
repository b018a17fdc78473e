"""The head node: MLflow server, database, broker, submitted searches."""
