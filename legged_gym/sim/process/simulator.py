"""A simulator whose engine runs in another process, seen from the trainer.

The environment reads and writes memory that both processes share. Resets, pushes and parameters are only noted there,
and their effect on the state is computed here. The worker applies them at the next `step`, the only request of a policy
step that the trainer waits for. On a CPU it applies them earlier, while the trainer computes observations (`prepare`).
On a GPU all of that is queued without waiting, and may be captured into a CUDA graph; the host waits for the worker's
step.
"""

import importlib.util
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from legged_gym.sim.process import memory
from legged_gym.sim.process.config import ProcessCfg
from legged_gym.sim.process.errors import MemoryNotShared, WorkerError, WorkerLost
from legged_gym.sim.process.interventions import Interventions
from legged_gym.sim.process.launch import Worker
from legged_gym.sim.process.protocol import BODY_PARAMETERS, PLACEMENT, Request
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.sim_options import SimOptions
from legged_gym.sim.sim_state import Placement, SimState
from legged_gym.sim.simulator import Simulator
from legged_gym.utils.math import known_empty


class ProcessSimulator(Simulator):
    """Speaks to a worker that runs the engine; see `wire_fields` for the memory they share."""

    def __init__(
        self,
        robot: RobotModel,
        num_envs: int,
        options: SimOptions,
        device: str,
        cfg: ProcessCfg,
        launch: Callable[[], Worker],
        spec: dict[str, Any],
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Start a worker and let it build the engine.

        Args:
            robot: The robot.
            num_envs: Robots.
            options: What the engine is built with.
            device: Where the engine and all tensors are.
            cfg: Timeouts and restarts.
            launch: Starts a worker.
            spec: Description of what to build, as JSON; the device is added.
            arrays: Parts of the description that are too large for JSON.

        Raises:
            WorkerError: There is no worker, or it cannot build the engine; the text says why and what to do.
        """
        if device == "cuda":
            device = f"cuda:{torch.cuda.current_device()}"
        super().__init__(robot, num_envs, options, device)
        self.cfg = cfg
        self._launch, self._spec = launch, spec | {"device": str(self.device)}
        self._memory, self._description = self._make_memory(arrays or {})
        self._shared = self._memory.tensors
        for name, value in self.parameters.items():
            self._shared[f"parameter.{name}"].copy_(value)
        self._live_in(self._shared)
        # The worker writes the state in steps only: what a reset or a push changes in it is computed at this end.
        self._interventions = make_interventions(robot, self.state, self.parameters, self._shared)
        self._pending: set[str] = set()
        """Changes that the worker must apply at the next step: names of parameters, `reset`, `push`."""
        self._recorded: set[str] = set()
        """The same, for changes that a CUDA graph has captured and may make at any time."""
        self._restarts_left = cfg.restarts
        self._lost_between_steps = False
        self._is_applying = False
        """The worker may be applying the noted changes: the masks are its own until it has answered."""
        self._warm = False
        """The worker has answered since it built the engine; the first time may take longer."""
        self._worker = self._start()
        self._place_nominally()

    def _make_memory(self, arrays: Mapping[str, np.ndarray]) -> tuple[memory.SharedMemory, dict[str, Any]]:
        """Make the memory that both ends see, with the arrays in it; returns what the worker needs to find it."""
        more = [(name, array.dtype.name, array.shape) for name, array in arrays.items()]
        shared = memory.create(memory.lay_out([*wire_fields(self), *more]), self.device)
        for name, array in arrays.items():
            shared.tensors[name].copy_(torch.from_numpy(array))
        try:
            return shared, shared.describe()
        except RuntimeError as error:
            why = str(error).partition("\n")[0]
            raise MemoryNotShared(
                f"the simulator's process cannot share memory of {self.device} ({why}); CUDA IPC works on Linux, but"
                " not under WSL 2 for example: take --sim_device=cpu, or another simulator without --sim_process"
            ) from None

    def _start(self) -> Worker:
        """Start a worker and build the engine in it, with the parameters in force."""
        worker = self._launch()
        try:
            self._memory.hand_over()
            worker.ask(
                Request.BUILD,
                {"spec": self._spec, "memory": self._description},
                timeout=self.cfg.start_timeout,
                descriptor=self._memory.descriptor(),
            )
            worker.wait_until(self._memory.is_handed_over, self.cfg.start_timeout)
        except BaseException:
            worker.close(patience=0.0)
            raise
        # A new engine has nominal parameters: it must be given all of those in force.
        self._pending = set(self.PARAMETERS)
        self._shared["changed"].fill_(True)
        self._warm = False
        return worker

    @property
    def worker_pid(self) -> int:
        """Number of the worker's process."""
        return int(self._worker.versions["pid"])

    def _place_nominally(self) -> None:
        n, device = self.num_envs, self.device
        pos = torch.tensor([0.0, 0.0, self.robot.zero_pose_height], device=device).expand(n, 3)
        everyone = torch.ones(n, dtype=torch.bool, device=device)
        self.reset(everyone, Placement.at_rest(pos, len(self.robot.joint_names)))

    def start_anew(self) -> None:
        """Replace the worker, and let the new one put the robots where they are."""
        self._worker.close()
        self._is_applying = False
        for name in PLACEMENT:  # the state has all resets and pushes already
            self._shared[f"reset.{name}"].copy_(getattr(self.state, name))
        self._shared["reset_mask"].fill_(True)
        self._shared["push_delta_w"].zero_()
        self._worker = self._start()
        self._note("reset")

    # -- asking the worker ---------------------------------------------------------------------------------------------

    def step(self, joint_targets: torch.Tensor) -> None:
        """See `Simulator.step`. One round trip; not to be captured into a graph."""
        if self._lost_between_steps:  # all robots are broken, and the caller must see it after a step
            self._lost_between_steps = False
            return
        self._shared["targets"].copy_(joint_targets)
        self._ask(Request.STEP, self._pop_pending())

    def prepare(self) -> None:
        """See `Simulator.prepare`. On a CPU the worker applies the noted changes while the trainer goes on."""
        if self.device.type == "cpu" and self._pending:
            self._worker.notify(Request.APPLY, self._pop_pending(), self.cfg.timeout)
            self._is_applying = True

    def _wait_until_applied(self) -> None:
        """Wait until the worker has applied the changes of `prepare`, before more are noted."""
        if self._is_applying:
            self._ask(Request.APPLY, self._pop_pending())

    def step_engine(self) -> None:
        """See `Simulator.step_engine`."""
        self._ask(Request.STEP_ENGINE, self._pop_pending())

    def overflow_counts(self) -> dict[str, int]:
        """See `Simulator.overflow_counts`."""
        return self._ask(Request.COUNT_OVERFLOWS).get("counts", {})

    def _pop_pending(self) -> dict[str, Any]:
        """Return the changes that the worker must apply, and clear them."""
        pending = self._pending | self._recorded
        self._pending = set()
        names = [name for name in self.PARAMETERS if name in pending]
        return {"parameters": names, "reset": "reset" in pending, "push": "push" in pending}

    def _ask(self, request: Request, payload: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make a round trip; if the worker is lost and may be replaced, replace it and return nothing."""
        timeout = self.cfg.timeout if self._warm else self.cfg.start_timeout
        self._is_applying = False
        try:
            self._memory.hand_over()
            reply = self._worker.ask(request, payload, timeout=timeout)
            self._worker.wait_until(self._memory.is_handed_over, timeout)
            self._warm = True
        except WorkerError as error:
            if not isinstance(error, WorkerLost) or self._restarts_left == 0:
                raise
            self._replace_worker(error)
            self._lost_between_steps = request != Request.STEP
            return {}
        return reply

    def _replace_worker(self, error: WorkerLost) -> None:
        """Start a new worker. All robots are broken until the environment resets them, which it does at once."""
        self._restarts_left -= 1
        print(
            f"{error}\nstarting a new worker, with new episodes for all robots ({self._restarts_left} more times)",
            file=sys.stderr,
            flush=True,
        )
        # What was noted for the old worker concerned robots that no longer exist.
        self._shared["reset_mask"].zero_()
        self._shared["push_delta_w"].zero_()
        self._worker = self._start()
        for field in fields(SimState):
            getattr(self.state, field.name).fill_(torch.nan)

    # -- interventions: noted for the worker, shown in the state -------------------------------------------------------

    def _note(self, *names: str) -> None:
        self._pending.update(names)
        # A graph's replay runs none of this: what it contains may have happened at any step from now on.
        if self.device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            self._recorded.update(names)

    def reset(self, mask: torch.Tensor, placement: Placement) -> None:
        """See `Simulator.reset`."""
        if known_empty(mask):
            return
        self._wait_until_applied()
        self._interventions.reset(mask, placement)
        self._note("reset")

    def push(self, mask: torch.Tensor, delta_vel_w: torch.Tensor) -> None:
        """See `Simulator.push`."""
        if known_empty(mask):
            return
        self._wait_until_applied()
        self._interventions.push(mask, delta_vel_w)
        self._note("push")

    def set_parameters(self, values: Mapping[str, torch.Tensor], mask: torch.Tensor | None = None) -> None:
        """See `Simulator.set_parameters`."""
        self._wait_until_applied()
        super().set_parameters(values, mask)

    def _apply_parameters(self, names: Collection[str], mask: torch.Tensor) -> None:
        if not set(BODY_PARAMETERS).isdisjoint(names):
            self._interventions.follow_masses()
        self._shared["changed"].masked_fill_(mask, True)
        self._note(*names)

    def close(self) -> None:
        """End the worker."""
        super().close()
        self._worker.close()


def make_interventions(
    robot: RobotModel, state: SimState, parameters: Mapping[str, torch.Tensor], shared: Mapping[str, torch.Tensor]
) -> Interventions:
    """Return the interventions: on a GPU in Warp's kernels, if Warp is installed."""
    if state.root_pos_w.is_cuda and importlib.util.find_spec("warp") is not None:
        from legged_gym.sim.process.interventions_warp import WarpInterventions  # needs Warp

        return WarpInterventions(robot, state, parameters, shared)
    return Interventions(robot, state, parameters, shared)


def wire_fields(sim: Simulator) -> list[tuple[str, str, tuple[int, ...]]]:
    """Return name, type and shape of each tensor that trainer and worker share.

    `state.*` is written by the worker, all else by the trainer: `targets`; `reset_mask` and `reset.*`, robots to be
    placed and how; `push_delta_w`, zero for robots that are not pushed; `parameter.*`, and `changed`, robots of which
    one was set; `wrench_w`, see `Simulator`. The worker clears the masks and the pushes when it has applied them.
    """
    n, width = sim.num_envs, {f.name: getattr(sim.state, f.name).shape for f in fields(SimState)}
    tensors = [(f"state.{name}", "float32", tuple(shape)) for name, shape in width.items()]
    tensors += [(f"reset.{name}", "float32", tuple(width[name])) for name in PLACEMENT]
    tensors += [(f"parameter.{name}", "float32", tuple(value.shape)) for name, value in sim.parameters.items()]
    tensors += [("targets", "float32", tuple(width["joint_pos"])), ("push_delta_w", "float32", (n, 3))]
    tensors += [("wrench_w", "float32", tuple(sim.wrench_w.shape))]
    tensors += [(name, "bool", (n,)) for name in ("reset_mask", "changed")]
    return tensors
