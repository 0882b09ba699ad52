"""Tools every other package may use: configs, registry, command line, checkpoints."""
