"""Pictures with boxes are read, changed and batched as they should be."""
