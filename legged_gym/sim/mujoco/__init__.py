"""MuJoCo on the CPU behind the seam: the simulator, its models of robot and ground, and its pictures.

`spec`, `terrain`, `scene` and `viewer` also serve the engines that borrow MuJoCo's model or its renderer.
"""
