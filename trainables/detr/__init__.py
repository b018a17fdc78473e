"""Detection with transformers whose attention may be sparse."""
