"""An OpenID provider as this package speaks to it: its endpoints, and one authorization request."""
