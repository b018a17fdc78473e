"""The commands: what can be typed; no logic."""
