"""The legged robot environment."""
