"""How a person signs in from a notebook: one file for each rung of the ladder, and the ladder that chooses.

Nothing here knows a provider's library: a rung drives a `SignIn`.
"""
