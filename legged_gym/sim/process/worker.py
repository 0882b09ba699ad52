"""Hosts one of this package's simulators; started by `hosting.launch` with the arguments of `open_channel`."""

import base64
import pickle
import sys
from dataclasses import replace
from typing import Any

from legged_gym.sim.process.protocol import BODY_PARAMETERS, PLACEMENT
from legged_gym.sim.process.serve import Backend, Server, open_channel


def hello() -> dict[str, Any]:
    """Import what every simulator needs, and return the versions."""
    import numpy
    import torch

    torch.set_num_threads(1)  # tensors are small, and physics needs the cores
    return {"numpy": numpy.__version__, "torch": torch.__version__}


class HostedSimulator(Backend):
    """A simulator whose state and parameters lie in the shared memory."""

    def __init__(self, spec: dict[str, Any], shared: dict[str, Any]) -> None:
        """Build the simulator, on the very memory that the trainer sees."""
        import torch

        from legged_gym.sim.registry import load_simulator
        from legged_gym.sim.robot_model import RobotModel
        from legged_gym.sim.sim_state import Placement

        options = pickle.loads(base64.b64decode(spec["options"]))
        if options.terrain is not None:
            heights = shared["terrain.heights"].cpu().numpy()
            options = replace(options, terrain=replace(options.terrain, heights=heights))
        robot = RobotModel.from_urdf(spec["urdf"])
        simulator = load_simulator(spec["simulator"])
        self._sim = simulator(robot, spec["num_envs"], options, spec["device"], shared)
        self._shared = shared
        self._recordings: dict[tuple[tuple[str, ...], bool, bool], Any] = {}
        self._placement = Placement(*(shared[f"reset.{name}"] for name in PLACEMENT))
        self._everyone = torch.ones_like(shared["reset_mask"])

    def apply(self, parameters: list[str], reset: bool, push: bool) -> None:
        """See `Backend.apply`. On a GPU each combination of interventions is recorded as a graph, once."""
        from legged_gym.utils.cuda_graph import Graphed

        combination = (tuple(parameters), reset, push)
        if not any(combination):
            return
        if combination not in self._recordings:
            # A step must know on the host that masses have changed, and the host does not see into a graph.
            with_masses = not set(BODY_PARAMETERS).isdisjoint(parameters)
            self._recordings[combination] = Graphed(
                lambda: self._apply(*combination), self._sim.device, copies=False, enabled=not with_masses
            )
        self._recordings[combination]()

    def _apply(self, parameters: tuple[str, ...], reset: bool, push: bool) -> None:
        shared, sim = self._shared, self._sim
        if parameters:
            sim.set_parameters({name: sim.parameters[name] for name in parameters}, shared["changed"])
            shared["changed"].zero_()
        if reset:
            sim.reset(shared["reset_mask"], self._placement)
            shared["reset_mask"].zero_()
        if push:
            sim.push(self._everyone, shared["push_delta_w"])  # zero for robots that are not pushed
            shared["push_delta_w"].zero_()

    def step(self) -> None:
        """See `Backend.step`."""
        self._sim.step(self._shared["targets"])

    def step_engine(self) -> None:
        """See `Backend.step_engine`."""
        self._sim.step_engine()

    def overflow_counts(self) -> dict[str, int]:
        """See `Backend.overflow_counts`."""
        return self._sim.overflow_counts()

    def close(self) -> None:
        """See `Backend.close`."""
        self._recordings.clear()
        self._sim.close()


if __name__ == "__main__":
    Server(open_channel(*map(int, sys.argv[1:])), hello, HostedSimulator).run()
