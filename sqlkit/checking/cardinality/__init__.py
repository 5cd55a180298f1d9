"""How many rows an analysed query can give: at most one, and at least one, each with the reason in words."""

from sqlkit.checking.cardinality.least import always
from sqlkit.checking.cardinality.most import single

__all__ = ["always", "single"]
