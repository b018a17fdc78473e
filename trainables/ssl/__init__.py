"""Representation learning on images: supervised training."""
