"""Boxes of annotated pictures as examples for classification: lists, classes, splits, crops."""
