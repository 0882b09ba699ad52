"""Isaac Gym behind the seam, in the interpreter that it needs; docs/isaacgym.md says how to use it.

`worker`, `scene` and `engine` run there: Python 3.8, standard library, numpy, torch, isaacgym, and of this package only
`sim.process.protocol`, `memory` and `serve`. The rest runs in the trainer.
"""
