"""One attempt at a trial: its host, its process, its session and its checkpoints."""
