"""`python -m raysearch.cli`: the same command without its script."""

from raysearch.cli.application import main

main()
