"""From a profile to its parts: the token source and the exchange that it names."""
