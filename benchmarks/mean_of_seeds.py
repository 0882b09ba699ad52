"""Means over seeds of what evaluate.py wrote: `python benchmarks/mean_of_seeds.py --title TEXT --result FILE JSON...`.

Each JSON is of one seed, from `evaluate.py --agent teacher ... --seed N --json FILE`, all with the same rows.
"""

import argparse
from pathlib import Path

from legged_gym.evaluation import results
from legged_gym.evaluation.report import read_json
from legged_gym.options import cli
from legged_gym.options.cli import run_main
from legged_gym.utils.errors import UserError

COLUMNS = {**results.ROW_COLUMNS, "survival": ("", 3), "bias_vx": ("m/s", 3), "dcm_error": ("m", 4)}


def mean(rows: list[dict[str, float]]) -> dict[str, results.Figure]:
    """Average one row's figures over seeds; survival is that of all robots together."""
    figures = {}
    for column in COLUMNS:
        if all(row.get(column) is not None for row in rows):
            figures[column] = {"value": sum(row[column] for row in rows) / len(rows)}
    share, robots = figures["survival"]["value"], sum(int(row["n"]) for row in rows)
    return figures | {"survival": results.survival(share, robots)}


def main() -> None:
    """Averages from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="JSON", help="what evaluate.py --json wrote, one a seed")
    parser.add_argument("--title", required=True, help="what was measured, in a line")
    parser.add_argument("--note", default="", help="what a reader has to know besides")
    parser.add_argument("--result", required=True, type=cli.path, metavar="FILE", help="write the figures here")
    args = parser.parse_args()
    contents = [read_json(file) for file in args.files]
    names = list(contents[0]["rows"])
    for file, content in zip(args.files, contents, strict=True):
        if list(content["rows"]) != names:
            raise UserError(f"{file}: has the rows {list(content['rows'])}, {args.files[0]} has {names}")
    seeds = [content["seed"] for content in contents]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"the seeds are {seeds}: give each file once")
    figures = {name: mean([content["rows"][name] for content in contents]) for name in names}
    robots = sum(int(content["rows"][names[0]]["n"]) for content in contents)
    spread = f"standard error of {robots} robots"
    results.save(args.result, args.title, "Teacher", COLUMNS, figures, spread, seeds, note=args.note)


if __name__ == "__main__":
    run_main(main)
