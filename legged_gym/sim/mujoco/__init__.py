"""MuJoCo on the CPU behind the seam: the simulator, the robot and ground it is built of, its pictures.

`spec`, `terrain`, `scene` and `viewer` also serve the engines that borrow MuJoCo's model or its renderer.
"""
