"""The ways on which credentials reach what speaks AWS; each room is independent of the others."""
