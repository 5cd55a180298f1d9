"""Methods of a Protocol as contracts: what they promise, what they take, and what can be read from it."""
