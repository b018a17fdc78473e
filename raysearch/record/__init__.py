"""Record: the events of a search, and what reads them."""
