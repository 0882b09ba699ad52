"""What a run is: command line, saved run and machine, resolved once into a `RunSpec`."""
