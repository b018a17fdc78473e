"""The driver of one search: attempts, their outcomes, clocks, quota, resources, Ray Tune."""
