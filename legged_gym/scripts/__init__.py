"""Programs: train, play, evaluate and more; each can be run as a file from any directory."""
