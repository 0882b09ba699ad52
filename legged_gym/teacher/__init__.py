"""The DCM stepping teacher: pure batched mathematics, no environment and no simulator."""
