"""What an environment logs of its episodes: names of the curves, and the entries of several processes as one."""

from typing import Any


def own_episodes(env: Any) -> dict[str, float]:
    """Sum up what this process's robots did since the last call, and what overflowed."""
    overflows = {f"overflow_{name}": count for name, count in env.sim.overflow_counts().items()}
    return env.episode_log() | overflows


def episode_tag(name: str) -> str:
    """Return the tag for an entry of an environment's episode log."""
    if name.startswith("overflow_"):
        return f"Sim/{name}"
    return f"Reward/{name.removeprefix('rew_')}" if name.startswith("rew_") else f"Train/{name}"


COUNTS = ("broken_robots", "not_finite_", "overflow_")
"""Beginnings of the names of entries that are counts; the others are means over equally many robots."""


def merged(logs: list[dict[str, float]]) -> dict[str, float]:
    """Merge the episode logs of several processes, each of which may lack entries."""
    names = dict.fromkeys(name for log in logs for name in log)
    values = {name: [log[name] for log in logs if name in log] for name in names}
    return {name: sum(v) if name.startswith(COUNTS) else sum(v) / len(v) for name, v in values.items()}
