"""A robot of a user's: a shipped one whose links and joints are called otherwise, mapped in robot.yaml."""

from pathlib import Path

import yaml  # type: ignore[import-untyped]

from legged_gym.sim.robot_model import JOINT_ORDER, LEG_LINKS, SIDES, robot_urdf

PARTS = dict(zip(LEG_LINKS, ("hip_roll", "thigh", "shin", "ball"), strict=True))
LINK_NAMES = yaml.safe_dump(
    {
        "link_names": {"base": "torso"}
        | {leg: {part: f"{leg}_{own}" for part, own in PARTS.items()} for leg in ("left", "right")}
    }
)


def own_robot(folder: Path, original: str = "PF_TRON1A") -> Path:
    """Write the robot into a folder, its URDF, robot.yaml and nothing else; returns the folder."""
    text = robot_urdf(original).read_text().replace('"base_Link"', '"torso"')
    for side, leg in zip(SIDES, ("left", "right"), strict=True):
        for part, own in PARTS.items():
            text = text.replace(f'"{part}_{side}_Link"', f'"{leg}_{own}"')
    for number, joint in enumerate((*JOINT_ORDER, "foot_L_Joint", "foot_R_Joint")):
        text = text.replace(f'"{joint}"', f'"j{number}"')
    (folder / "urdf").mkdir(parents=True)
    (folder / "urdf" / "robot.urdf").write_text(text)
    (folder / "robot.yaml").write_text(LINK_NAMES)
    return folder
