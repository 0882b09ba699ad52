"""Examples at the end of `--help`: options of each script, and what they do."""

from pathlib import Path

Example = tuple[str, str]

EXAMPLES: dict[str, tuple[Example, ...]] = {
    "train": (
        ("--headless", "the flat task, as large as suits this machine"),
        ("--headless --until_walking", "stop at the first policy that follows commands"),
        ("--task=pointfoot_rough --headless --num_envs=512", "slopes and stairs, 512 robots"),
        ("--headless --resume --max_iterations=300", "300 iterations more of the newest run"),
        ("--headless --logger=wandb", "curves to Weights & Biases, too"),
    ),
    "play": (
        ("--agent=pretrained", "the policy that comes with the package"),
        ("--load_run=-1 --video=walk.mp4", "film the newest run"),
        ("--agent=teacher --duration=20", "the stepping teacher by itself"),
    ),
    "evaluate": (
        ("--suite=deployed", "what a robot must pass, for the newest run"),
        ("--list --suite=all", "what the rows are"),
        ("--agent=pretrained --suite=track,push --json=result.json", "some suites, as JSON"),
        ("--suite=deployed --report=report --against=pretrained", "a page that compares two agents"),
    ),
    "sim2sim": (
        ("--onnx=resources/policies/PF_TRON1A/pointfoot_flat", "the shipped policy in plain MuJoCo"),
        ("--onnx=exported --engine=drake --suite=track --json=drake.json", "another one in Drake, as JSON"),
    ),
    "deploy": (("--load_run=-1 --out=robot", "the newest run, as the folder that goes onto the robot"),),
    "compare_log": (("walk.csv --onnx=robot --out=compared", "a robot's log beside the simulator"),),
    "identify": (("hanging.csv --json=joints.json", "friction, inertia and delay of the joints"),),
    "ablation": (
        ("--arms=ppo,dcm --seeds=0,1 --max_iterations=300 --out=ablation", "two arms, two seeds each"),
        ("--out=ablation", "all arms; the same command goes on where it was stopped"),
    ),
    "calibrate": (("--load_run=-1", "the newest run, as fast as it is asked to be"),),
    "denoise": (
        ("--load_run=-1", "the newest run, moved less by the noise of its sensors"),
        ("--load_run=EXACT --recover_as=STURDY", "walk as one run, recover as the other"),
    ),
    "export_policy": (
        ("--load_run=-1 --out=resources/policies/PF_TRON1A/mine", "for --agent=pretrained:mine"),
        ("--load_run=-1 --replace", "in place of the shipped one"),
    ),
    "train_teacher": (("--max_iterations=100", "the offset of the capture point, for --agent=teacher --offset"),),
    "show_terrain": (("--task=pointfoot_rough --out=terrain", "a map, and robots on it"),),
    "benchmark": (("--num_envs=256,512 --json=speed.json", "two numbers of robots"),),
    "benchmark_process": (("--num_envs=256", "what another process costs"),),
    "benchmark_stages": (
        ("", "a start and some iterations, by stage"),
        ("--until_walking", "the way to the walking gate, by stage"),
    ),
    "doctor": (("", "what works here"),),
    "measure_physics": (("--num_envs=64", "what MuJoCo's options cost"),),
    "measure_terrain": (("--robot=PF_TRON1A", "where contacts with the terrain are off"),),
}
"""Script -> examples."""


def script_name(program: str) -> str:
    """Returns the script that a program is: `train.py`, `lg-train` and `python -m legged_gym train` are train."""
    return Path(program).name.rpartition(" ")[2].removesuffix(".py").removeprefix("lg-").replace("-", "_")


def example_lines(program: str) -> list[str]:
    """Returns the examples of a program under its name, each with its meaning; none for unknown programs."""
    found = [(f"{program} {options}".strip(), what) for options, what in EXAMPLES.get(script_name(program), ())]
    width = max((len(line) for line, _ in found), default=0)
    return [f"  {line:<{width}}  # {what}" for line, what in found]
