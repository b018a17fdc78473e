"""Readers, augmentations and small sets of images."""
