"""``sqlkit partitions``: make partitions ahead and drop those past their retention."""
