"""Rollouts, updates, logs and checkpoints."""
