"""A trial of several workers: a Ray Train group under the same host."""
