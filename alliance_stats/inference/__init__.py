"""Functions of results."""
