"""What the trainer's end notes for the worker and shows in the state, in both of its forms."""

import dataclasses

import pytest
import torch

from legged_gym.sim.process import memory
from legged_gym.sim.process.interventions import Interventions
from legged_gym.sim.process.simulator import wire_fields
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.sim_state import Placement, SimState

N = 64


class Ends:
    """State, parameters and the shared memory of N robots, without a worker."""

    def __init__(self, robot: RobotModel, kind: type[Interventions]) -> None:
        fields = memory.lay_out(wire_fields(_Sizes(robot)))  # type: ignore[arg-type]
        self.shared = memory.create(fields, torch.device("cpu")).tensors
        self.state = SimState(**{f.name: self.shared[f"state.{f.name}"] for f in dataclasses.fields(SimState)})
        self.parameters = {n[10:]: value for n, value in self.shared.items() if n.startswith("parameter.")}
        for name in ("link_mass_scale", "link_inertia_scale"):
            self.parameters[name].fill_(1.0)
        self.interventions = kind(robot, self.state, self.parameters, self.shared)


class _Sizes:
    def __init__(self, robot: RobotModel) -> None:
        self.num_envs, self.state = N, SimState.zeros(N, robot, "cpu")
        self.wrench_w = torch.zeros(N, 3, 6)
        self.parameters = {
            "base_mass_added": torch.zeros(N),
            "base_com_offset": torch.zeros(N, 3),
            "link_mass_scale": torch.ones(N, 9),
            "link_inertia_scale": torch.ones(N, 9),
        }


def drive(ends: Ends) -> None:
    """New masses, two resets of some robots each, pushes before, between and after them."""
    draw = torch.Generator().manual_seed(3)

    def uniform(*shape: int) -> torch.Tensor:
        return 2.0 * torch.rand(N, *shape, generator=draw) - 1.0

    def some() -> torch.Tensor:
        return uniform() > 0.2

    for tensor in vars(ends.state).values():
        tensor.copy_(uniform(*tensor.shape[1:]))
    for k in range(2):
        ends.parameters["link_mass_scale"].copy_(1.0 + 0.2 * uniform(9))
        ends.parameters["base_mass_added"].copy_(uniform())
        ends.parameters["base_com_offset"].copy_(0.1 * uniform(3))
        ends.interventions.follow_masses()
        ends.interventions.push(some(), uniform(3))
        ends.interventions.reset(
            some(), Placement(uniform(3), uniform(4), uniform(3), 5.0 * uniform(3), uniform(6), 10.0 * uniform(6))
        )
        ends.interventions.push(some(), (1.0 + k) * uniform(3))


def test_kernels_do_what_tensor_operations_do(pf_tron1a: RobotModel) -> None:
    pytest.importorskip("warp")
    from legged_gym.sim.process.interventions_warp import WarpInterventions

    plain, kernels = Ends(pf_tron1a, Interventions), Ends(pf_tron1a, WarpInterventions)
    for ends in (plain, kernels):
        drive(ends)
    assert plain.shared["reset_mask"].any() and not plain.shared["reset_mask"].all()
    for name, value in plain.shared.items():
        torch.testing.assert_close(kernels.shared[name], value, rtol=2e-5, atol=2e-5, msg=lambda m, n=name: f"{n}: {m}")
