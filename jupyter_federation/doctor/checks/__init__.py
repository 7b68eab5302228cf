"""The checks, a room for each theme; a check is a function with a name that yields what it finds."""
