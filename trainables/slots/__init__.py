"""Slot Attention and its update normalisations: set prediction, object discovery, DINOSAUR."""
