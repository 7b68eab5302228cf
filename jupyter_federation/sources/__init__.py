"""Where tokens come from: one file for each source, named after it."""
