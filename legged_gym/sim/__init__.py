"""Physics behind one seam: the robot model and the simulator backends."""
