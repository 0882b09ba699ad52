"""What solid legs cost: `python benchmarks/solid_legs_cost.py [--device cuda] [--num_envs N] [--result FILE]`.

On the CPU: the time of `Simulator.step` at zero targets with and without self-collisions, in turns. On a GPU, or with
`--contacts`, also how many contacts and rows of constraints robots have in MuJoCo Warp that fall and thrash.
"""

import argparse
import statistics
import time

import torch

from legged_gym.evaluation import results
from legged_gym.sim.registry import make_simulator
from legged_gym.sim.robot_model import RobotModel, robot_urdf
from legged_gym.sim.sim_options import SimOptions
from legged_gym.sim.sim_state import Placement
from legged_gym.sim.simulator import Simulator

ROUNDS, EPISODES, EPISODE_STEPS = 2, 6, 20


def place(sim: Simulator, height: float, spread: float, draw: torch.Generator) -> None:
    """Put robots at a height of their base [m], upright or turned anyhow if `spread` is not 0, with random joints."""
    n, device = sim.num_envs, sim.device

    def noise(width: int) -> torch.Tensor:
        return torch.randn(n, width, generator=draw).to(device)

    pos = torch.tensor([0.0, 0.0, height], device=device).repeat(n, 1)
    pos[:, 2] += 0.3 * spread * noise(1).squeeze(-1).abs()
    upright = torch.tensor([0.0, 0.0, 0.0, 1.0], device=device)
    quat = torch.nn.functional.normalize(upright + spread * noise(4), dim=-1)
    everyone = torch.ones(n, dtype=torch.bool, device=device)
    twist, joints = (0.3 * noise(3), 3.0 * spread * noise(3)), (0.1 * noise(6), torch.zeros_like(noise(6)))
    sim.reset(everyone, Placement(pos, quat, *twist, *joints))


def step_time(robot: RobotModel, num_envs: int, solid: bool) -> float:
    """Median time of `Simulator.step` on the CPU [s]."""
    sim, times = make_simulator("mujoco", robot, num_envs, SimOptions(self_collisions=solid), "cpu"), []
    draw = torch.Generator().manual_seed(0)
    for _ in range(EPISODES):
        place(sim, robot.zero_pose_height + 0.01, 0.0, draw)
        for _ in range(EPISODE_STEPS):
            start = time.perf_counter()
            sim.step(torch.zeros(num_envs, 6))
            times.append(time.perf_counter() - start)
    sim.close()
    return statistics.median(times)


def count_contacts(robot: RobotModel, num_envs: int, device: str, steps: int) -> dict[str, float]:
    """Print and return the most contacts and rows that thrashing robots had; print what was lost."""
    import warp as wp

    from legged_gym.sim.mujoco_warp.simulator import MAX_CONTACTS, MujocoWarpSimulator

    sim, draw = MujocoWarpSimulator(robot, num_envs, SimOptions(), device), torch.Generator().manual_seed(0)
    most = rows = 0
    mean = 0.0
    targets = torch.zeros(num_envs, 6, device=device)
    for step in range(steps):
        if step % 60 == 0:
            place(sim, 0.3, 1.0, draw)
        if step % 5 == 0:
            targets = 3.0 * torch.randn(num_envs, 6, generator=draw).to(device)
        sim.step(targets)
        count = int(sim._data.nacon.numpy()[0])
        worlds = wp.to_torch(sim._data.contact.worldid)[:count].long()
        most = max(most, int(torch.bincount(worlds, minlength=num_envs).max()))
        rows, mean = max(rows, int(wp.to_torch(sim._data.nefc).max())), max(mean, count / num_envs)
    print(f"{num_envs} robots, {steps} steps: most contacts {most} (room {MAX_CONTACTS}), rows {rows}, mean {mean:.2f}")
    print(f"lost: {sim.overflow_counts() or 'none'}")
    sim.close()
    return {"contacts": most, "rows": rows, "mean_contacts": mean}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--num_envs", type=int, default=512)
    parser.add_argument("--steps", type=int, default=240, help="policy steps in which contacts are counted")
    parser.add_argument("--contacts", action="store_true", help="count contacts on the CPU, too")
    results.add_option(parser)
    args = parser.parse_args()
    figures: dict[str, dict[str, results.Figure]] = {}
    pairs = []
    robot = RobotModel.from_urdf(robot_urdf("PF_TRON1A"))
    for _ in range(ROUNDS if args.device == "cpu" and not args.contacts else 0):
        solid, ghostly = (step_time(robot, args.num_envs, solid) for solid in (True, False))
        pairs.append((1e3 * solid, 1e3 * ghostly))
        print(f"step {1e3 * solid:.2f} ms, {1e3 * ghostly:.2f} ms without self-collisions: {solid / ghostly - 1:+.1%}")
    if args.contacts or args.device != "cpu":
        counts = count_contacts(robot, args.num_envs, args.device, args.steps)
        figures[f"{args.num_envs}_thrashing"] = {name: {"value": count} for name, count in counts.items()}
    if pairs:
        figures[f"{args.num_envs}_robots"] = {
            name: {"low": min(times), "high": max(times)}
            for name, times in zip(("solid", "passing"), zip(*pairs, strict=True), strict=True)
        }
    if args.result is not None:
        columns = {"solid": ("ms", 1), "passing": ("ms", 1), "contacts": ("", 0), "rows": ("", 0)}
        columns["mean_contacts"] = ("", 2)
        title = "What solid legs cost: time of a policy step, and contacts of robots that fall and thrash"
        results.save(args.result, title, "Speed", columns, figures, "", [0])


if __name__ == "__main__":
    main()
