"""Files and command lines that are damaged, malicious or mad: each must be refused in one line, or work."""

import contextlib
import copy
import io
import json
import pickle
import random
import re
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch

from legged_gym import resources_dir
from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.runners.on_policy_runner import OnPolicyRunner
from legged_gym.utils.checkpoint import load_checked
from legged_gym.utils.config import Config, check, from_dict, get_field, load_json, save_json, set_field, to_dict
from legged_gym.utils.errors import UserError
from tests.campaign.trials import CANARY
from tests.runners.making import small_configs, small_run

NUMBERS = (0, -1, 1, 2**31, 2**63, 10**30, -(10**30), 1e39, -1e-30, 1e308, float("nan"), float("inf"))
TEXTS = (
    "",
    " ",
    "x",
    "nan",
    "inf",
    "-1",
    "none",
    "true",
    "()",
    "(1,)",
    "1,2",
    "[1",
    "\x00",
    "../..",
    f"$(touch {CANARY})",
    "é" * 9,
)
VALUES = (*NUMBERS, *TEXTS, None, True, [], [1], {}, {"a": 1}, [[]])
KNOWN = ("teacher", "zero", "onnx", "pretrained", "cpu", "mujoco", "PF_TRON1A", "pointfoot_rough", "2", "0.5", "/", ".")
"""Values that some options have."""
WORKED = "worked"


class Canary:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path(CANARY),))


@cache
def saved(name: str = "model_1.pt") -> tuple[Any, bytes, dict[str, Any]]:
    """A run, the bytes of one of its files, and what is in it."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        run = small_run(Path(folder) / "run")
        run.learn(1)
        path = Path(folder) / "run" / name
        return run, path.read_bytes(), load_checked(path)


def checkpoints(draw: random.Random, folder: Path) -> str:
    """Load a checkpoint that was damaged, forged or swapped, as training and evaluation do."""
    run, whole, content = saved()
    path = folder / "model_1.pt"
    kind = draw.choice((_flip, _cut, _splice, _forge, _forge, _pickle, _noise, _deflate))
    kind(draw, path, whole, content)
    run.load(str(path), {"actor": True} if draw.random() < 0.3 else None)
    broken = [name for name, t in run._learned_tensors().items() if not bool(t.isfinite().all())]
    if broken:
        return f"FAILED: {kind.__name__} let {broken[0]} be loaded, which is not finite"
    return WORKED


def simulations(draw: random.Random, folder: Path) -> str:
    """Go on from a checkpoint where what lies beside it was damaged: with it, or with new robots."""
    run, whole, content = saved("simulation_1.pt")
    (folder / "model_1.pt").write_bytes(saved()[1])
    path = folder / "simulation_1.pt"
    draw.choice((_flip, _cut, _forge, _forge, _forge, _pickle, _noise))(draw, path, whole, content)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        run.load(str(folder / "model_1.pt"))
        run.learn(1)
    path.unlink()
    broken = [name for name, t in run._learned_tensors().items() if not bool(t.isfinite().all())]
    if broken:
        return f"FAILED: {broken[0]} is not finite"
    return "went on with new robots" if "begin anew" in said.getvalue() else WORKED


def _flip(draw: random.Random, path: Path, whole: bytes, content: dict[str, Any]) -> None:
    damaged = bytearray(whole)
    for _ in range(draw.choice((1, 1, 1, 8, 1000))):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    path.write_bytes(damaged)


def _cut(draw: random.Random, path: Path, whole: bytes, content: dict[str, Any]) -> None:
    path.write_bytes(whole[: draw.randrange(len(whole))])


def _splice(draw: random.Random, path: Path, whole: bytes, content: dict[str, Any]) -> None:
    start, length = draw.randrange(len(whole)), draw.randrange(1, 5000)
    path.write_bytes(whole[:start] + draw.randbytes(length) + whole[start + draw.choice((0, length)) :])


def _noise(draw: random.Random, path: Path, whole: bytes, content: dict[str, Any]) -> None:
    start = draw.choice((b"", b"PK\x03\x04", b"\x80\x02", b"root:x:0:0:", b"abc\n", whole[:200]))
    path.write_bytes(start + draw.randbytes(draw.randrange(0, 3000)))


def _pickle(draw: random.Random, path: Path, whole: bytes, content: dict[str, Any]) -> None:
    evil = content | {draw.choice(list(content)): Canary()}
    if draw.random() < 0.5:
        path.write_bytes(pickle.dumps(evil))
    else:
        torch.save(evil, path)


def _deflate(draw: random.Random, path: Path, whole: bytes, content: dict[str, Any]) -> None:
    with zipfile.ZipFile(io.BytesIO(whole)) as stored, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for part in stored.infolist():
            data = stored.read(part)
            packed.writestr(part.filename, bytes(20_000_000) if draw.random() < 0.05 else data)


def _forge(draw: random.Random, path: Path, whole: bytes, content: dict[str, Any]) -> None:
    """Put something else in one place of the content."""
    forged = torch.load(io.BytesIO(whole), weights_only=True)
    place: Any = forged
    while True:
        key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
        value = place[key]
        if not isinstance(value, dict | list) or not value or draw.random() < 0.3:
            break
        place = value
    if isinstance(value, torch.Tensor) and draw.random() < 0.7:
        value = draw.choice(
            (
                lambda t: torch.full_like(t, draw.choice((0, 1, torch.nan, torch.inf)) if t.is_floating_point() else 0),
                lambda t: t.flatten(),
                lambda t: t[..., :0] if t.dim() else t,
                lambda t: t.double(),
                lambda t: t.to(torch.int8) if t.is_floating_point() else t.float(),
                lambda t: torch.zeros(1).expand(10**6),
                lambda t: torch.zeros(3, 4),
                lambda t: t.to_sparse() if t.dim() else t,
            )
        )(value)
    elif draw.random() < 0.2 and isinstance(place, dict):
        del place[key]
        torch.save(forged, path)
        return
    else:
        value = draw.choice(VALUES)
    place[key] = value
    torch.save(forged, path)


def configs(draw: random.Random, folder: Path) -> str:
    """Read a config with one or more values changed, as a run that is resumed or evaluated does, and check it."""
    from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg, PointFootFlatCfgPPO
    from legged_gym.utils.limits import check_run
    from legged_gym.utils.machine import Machine

    classes: tuple[type[Config], ...] = (PointFootFlatCfg, PointFootFlatCfgPPO)
    loaded = []
    for cls in classes:
        path, data = folder / f"{cls.__name__}.json", to_dict(cls())
        for _ in range(draw.choice((0, 1, 1, 3))):
            place = data
            while True:
                key = draw.choice(list(place))
                if not isinstance(place[key], dict) or not place[key] or draw.random() < 0.1:
                    break
                place = place[key]
            place[key if draw.random() < 0.9 else draw.choice(TEXTS)] = draw.choice(VALUES)
        text = json.dumps(data)
        if draw.random() < 0.15:
            at = draw.randrange(len(text))
            text = text[:at] + draw.choice(("", "}", '"', "\x00", "[" * 5000, "é")) + text[at + draw.randrange(3) :]
        path.write_text(text)
        with contextlib.redirect_stderr(io.StringIO()):
            loaded.append(load_json(cls(), path))
        save_json(loaded[-1], path)
        if to_dict(load_json(cls(), path)) != to_dict(loaded[-1]):
            return "FAILED: what was saved is not what is loaded"
    check_run(*loaded, Machine(2, 4.0, 0))
    return WORKED


def runs(draw: random.Random, folder: Path) -> str:
    """Build a small run with one or two fields at other values, perhaps mad ones, and train it for one iteration."""
    from legged_gym.utils.limits import check_run
    from legged_gym.utils.machine import Machine

    env_cfg, train_cfg = small_configs()
    cfgs = {"env": env_cfg, "train": train_cfg}
    for _ in range(draw.choice((1, 1, 2))):
        scope = draw.choice(tuple(cfgs))
        path = draw.choice(_paths()[scope])
        set_field(cfgs[scope], path, _other(draw, get_field(cfgs[scope], path)))
    for cfg in cfgs.values():
        check(cfg)
    check_run(env_cfg, train_cfg, Machine(2, 4.0, 0))
    if env_cfg.env.num_envs * train_cfg.runner.num_steps_per_env > 2000:
        return "accepted, and too large to try"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        run = OnPolicyRunner(PointFootFlat(env_cfg), train_cfg, None)
        run.learn(1)
    broken = [name for name, t in run._learned_tensors().items() if not bool(t.isfinite().all())]
    return f"FAILED: {broken[0]} is not finite" if broken else WORKED


def _other(draw: random.Random, value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        factor = draw.choice((0, -1, 0.01, 0.5, 2, 10, 1e3, 1e6, 1e30))
        return type(value)((value or 1) * factor)
    if isinstance(value, tuple) and value:
        changed = list(value)
        at = draw.randrange(len(value))
        changed[at] = _other(draw, value[at])
        return tuple(draw.choice((changed, changed[:at], sorted(value), [changed[at]] * len(value))))
    return draw.choice(VALUES)


def terrains(draw: random.Random, folder: Path) -> str:
    """Build a map from mad values."""
    from legged_gym.terrain.build import make_terrain
    from legged_gym.terrain.config import TerrainCfg

    data = to_dict(TerrainCfg(num_rows=2, num_cols=4, mesh_type="trimesh"))
    for _ in range(draw.choice((1, 2, 4))):
        place = data
        key = draw.choice(list(place))
        if isinstance(place[key], dict) and place[key]:
            place = place[key]
            key = draw.choice(list(place))
        value = place[key]
        if isinstance(value, int | float) and not isinstance(value, bool) and draw.random() < 0.6:
            place[key] = type(value)(value * draw.choice((0.0, 0.1, 0.5, 0.99, 2.0, 5.0)))
        else:
            place[key] = draw.choice(VALUES)
    cfg = from_dict(TerrainCfg, data)
    terrain = make_terrain(cfg)
    if terrain is not None and not np.isfinite(terrain.heights).all():
        return "FAILED: heights that are not finite"
    return WORKED


def command_lines(draw: random.Random, folder: Path) -> str:
    """Read a command line of a script that trains, or of one that has an agent, up to where something is built."""
    from legged_gym.options.request import make_parser, parse_args
    from legged_gym.options.resolve import resolve

    options = ["num_envs", "seed", "max_iterations", "load_run", "checkpoint", "experiment_name", "run_name", "sim"]
    options += ["sim_device", "rl_device", "logger", "keep", "task", "resume", "headless", "nonsense", "env", "train"]
    options += ["robot", "import", "log_root", "agent", "onnx", "offset", "sim_process"]
    kind = {"training": True} if draw.random() < 0.6 else {"agent": True}
    argv = []
    for _ in range(draw.choice((1, 1, 2, 4))):
        name = draw.choice(options)
        if draw.random() < 0.5:
            scope = draw.choice(("env", "train"))
            name = f"{scope}.{draw.choice(_paths()[scope])}" if draw.random() < 0.9 else f"{scope}.{draw.choice(TEXTS)}"
        value = str(draw.choice((*VALUES, *KNOWN))).replace("\x00", "?")  # no program is ever given a null
        argv += draw.choice(([f"--{name}={value}"], [f"--{name}", value], [f"--{name}"], [value]))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            request = parse_args(make_parser("x", **kind), argv).request
        except SystemExit as stop:  # --help
            return "worked" if stop.code == 0 else f"FAILED: exit code {stop.code}"
        resolve(request)
    return WORKED


@cache
def _paths() -> dict[str, list[str]]:
    from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg, PointFootFlatCfgPPO

    def leaves(data: dict[str, Any], prefix: str = "") -> list[str]:
        found = []
        for name, value in data.items():
            found += leaves(value, f"{prefix}{name}.") if isinstance(value, dict) and value else [prefix + name]
        return found

    return {"env": leaves(to_dict(PointFootFlatCfg())), "train": leaves(to_dict(PointFootFlatCfgPPO()))}


def onnx_files(draw: random.Random, folder: Path) -> str:
    """Load the two networks, one of them damaged or of another shape, as both judges do."""
    import onnx

    from legged_gym.deployment.networks import OnnxNetworks
    from legged_gym.evaluation.agents import OnnxAgent

    shipped = resources_dir() / "policies" / "PF_TRON1A" / "pointfoot_flat"
    broken = draw.choice(("policy.onnx", "encoder.onnx"))
    for name in ("policy.onnx", "encoder.onnx"):
        (folder / name).write_bytes((shipped / name).read_bytes())
    data = bytearray((shipped / broken).read_bytes())
    kind = draw.choice(("flip", "cut", "noise", "graph", "graph"))
    if kind == "flip":
        for _ in range(draw.choice((1, 10, 1000))):
            data[draw.randrange(len(data)) if draw.random() < 0.5 else draw.randrange(500)] ^= 1 << draw.randrange(8)
    elif kind == "cut":
        data = data[: draw.randrange(len(data))]
    elif kind == "noise":
        data = bytearray(draw.randbytes(draw.randrange(2000)))
    else:
        model = onnx.load_from_string(bytes(data))
        _change_graph(draw, model)
        data = bytearray(model.SerializeToString())
    (folder / broken).write_bytes(data)
    refusals = 0
    for load in (OnnxNetworks, OnnxAgent):
        try:
            networks = load(folder)
        except UserError as error:
            if "\n" in str(error):
                return f"FAILED: more than one line: {error!r}"
            refusals += 1
            continue
        if load is OnnxNetworks:
            networks.act(np.zeros(36, np.float32))
            networks.encode(np.zeros(300, np.float32))
    return WORKED if not refusals else "refused in one line"


def _change_graph(draw: random.Random, model: Any) -> None:
    """Make a graph that is well-formed and not the contract's."""
    from onnx import TensorProto, helper, numpy_helper

    graph, kind = model.graph, draw.randrange(7)
    if kind == 0:
        graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [3]))
    elif kind == 1:
        del graph.output[:]
    elif kind == 2:
        weights = draw.choice(graph.initializer)
        values = numpy_helper.to_array(weights).copy()
        values.reshape(-1)[draw.randrange(values.size)] = draw.choice((np.nan, np.inf))
        weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    elif kind == 3:
        graph.output.append(graph.output[0])
    elif kind == 4:
        del graph.node[draw.randrange(len(graph.node))]
    elif kind == 5:
        graph.input[0].type.tensor_type.elem_type = draw.choice((TensorProto.DOUBLE, TensorProto.INT64))
    else:
        graph.input[0].type.tensor_type.shape.dim[0].dim_value = draw.choice((0, 1, 35, 10**6))


def urdfs(draw: random.Random, folder: Path) -> str:
    """Build a robot whose file has something changed, and let it act for some steps."""
    text = (resources_dir() / "robots" / "PF_TRON1A" / "urdf" / "robot.urdf").read_text()
    for _ in range(draw.choice((1, 1, 3))):
        text = draw.choice((_other_word, _other_number, _other_number, _other_tree))(draw, text)
    if draw.random() < 0.1:
        text = text[: draw.randrange(len(text))]
    path = folder / "robot.urdf"
    path.write_text(text)
    cfg, _ = small_configs(**{"env.env.num_envs": 1, "env.asset.file": path})
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        env = PointFootFlat(cfg)
        for _ in range(5):
            obs, *_ = env.step(torch.zeros(1, 6))
    ours, engines = env.sim.robot.total_mass, float(env.sim.model.body_mass.sum())
    if abs(ours - engines) > 1e-6 * ours:
        return f"FAILED: we read {ours} kg, the engine {engines} kg"
    broken = [name for name, values in obs.items() if not bool(values.isfinite().all())]
    return f"FAILED: the observation {broken[0]} is not finite" if broken else WORKED


def _other_word(draw: random.Random, text: str) -> str:
    words = text.split('"')
    at = draw.randrange(1, len(words))
    words[at] = draw.choice((str(draw.choice(NUMBERS)), *TEXTS, words[draw.randrange(len(words))]))
    return '"'.join(words)


def _other_number(draw: random.Random, text: str) -> str:
    found = draw.choice(list(re.finditer(r"-?\d+\.?\d*(e-?\d+)?", text)))
    value = draw.choice((0.0, -1.0, 1e-9, 0.5, 2.0, 100.0, 1e9)) * float(found[0])
    return f"{text[: found.start()]}{value}{text[found.end() :]}"


def _other_tree(draw: random.Random, text: str) -> str:
    """Leave an element out, put one in twice, or put one elsewhere."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return text
    parents = [element for element in root.iter() if len(element)]
    parent, other = draw.choice(parents), draw.choice(parents)
    child = draw.choice(list(parent))
    change = draw.choice(("remove", "twice", "elsewhere"))
    if change != "remove":
        (parent if change == "twice" else other).append(copy.deepcopy(child))
    if change != "twice":
        parent.remove(child)
    return ElementTree.tostring(root, encoding="unicode")


KINDS: dict[str, Callable[[random.Random, Path], str]] = {
    function.__name__: function
    for function in (checkpoints, simulations, configs, runs, terrains, command_lines, onnx_files, urdfs)
}
"""What is tried, by name."""
