"""The ways on which credentials reach what speaks AWS; `kernel_delivery` goes them all."""
