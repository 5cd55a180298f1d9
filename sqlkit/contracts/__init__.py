"""Methods of a Protocol as contracts, and their agreement with statements."""
