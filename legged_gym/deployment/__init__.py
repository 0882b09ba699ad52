"""The robot maker's controller, and other simulators that run a policy with it: a check on our own simulator."""
