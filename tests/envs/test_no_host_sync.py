"""No value is read back to the host and no index list is made where a step passes through; read off the source."""

import ast
from pathlib import Path

import pytest

import legged_gym.envs as package

WAITS = {"item", "tolist", "nonzero", "cpu", "numpy", "unique", "masked_select", "argwhere", "tensor", "as_tensor"}
"""Methods and functions that wait for the device: to read back, to learn a shape, to copy to it."""
ONCE_IN_A_WHILE = {"__init__", "_make_parts", "bodies_named", "_grid", "joint_mirror", "term_mirror"}
ONCE_IN_A_WHILE |= {"read", "episode_log", "update_curriculum"}
"""Functions that no step calls."""
SOURCES = sorted(Path(package.__file__).parent.glob("*/*.py"))


def waits(function: ast.FunctionDef) -> list[str]:
    """Calls in a function that make the host wait, and loops over robots."""
    found = []
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WAITS:
            found.append(f"{function.name}:{node.lineno} .{node.func.attr}()")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("bool", "int", "float"):
            found.append(f"{function.name}:{node.lineno} {node.func.id}()")
        if isinstance(node, ast.For | ast.comprehension) and "num_envs" in ast.dump(node.iter):
            found.append(f"{function.name} loops over robots")
        if isinstance(node, ast.If | ast.While | ast.IfExp) and (
            ".any()" in (t := ast.unparse(node.test)) or ".all()" in t
        ):
            found.append(f"{function.name}:{node.lineno} branches on a tensor")
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_steps_do_not_wait_for_the_device(source: Path) -> None:
    tree = ast.parse(source.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    found = [wait for f in functions if f.name not in ONCE_IN_A_WHILE for wait in waits(f)]
    assert not found


def test_the_check_sees_what_it_should() -> None:
    code = """
def step(self):
    if self.done.any():
        rows = self.done.nonzero()
    for i in range(self.num_envs):
        x = float(self.reward[i]) + self.reward[i].item() + torch.tensor(0.5)
"""
    function = ast.parse(code).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert len(waits(function)) == 6
