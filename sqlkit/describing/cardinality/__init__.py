"""How many rows an analysed query can give: at most one, and at least one, each with the reason in words."""

from sqlkit.describing.cardinality.least import always
from sqlkit.describing.cardinality.most import single

__all__ = ["always", "single"]
