"""From other tools: sweeps of W&B and Hydra as ours, past runs as known trials."""
