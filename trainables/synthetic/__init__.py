"""Makes small sets of scenes with exact masks, in the formats of the published ones."""
