"""Makes small sets of scenes with exact masks, in the formats of the published ones."""

from trainables.data.making.sets import MADE
from trainables.data.making.writing import DESCRIPTION, write_set

__all__ = ["DESCRIPTION", "MADE", "write_set"]
