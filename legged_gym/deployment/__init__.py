"""The robot maker's controller, and simulators of others to run a policy in by it: a check on our own simulator."""
