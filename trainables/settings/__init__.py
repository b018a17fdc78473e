"""Parts of configurations that several families have."""
