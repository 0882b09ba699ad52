"""Kills, faults and bad inputs by the thousand: `make campaign`, or `python -m tests.campaign --help`."""
