"""Error of the DCM against the teacher's plan when a foot lands."""

import torch

from legged_gym.evaluation.metrics import Result
from legged_gym.teacher.dcm_teacher import TeacherOutput


class TouchdownErrors:
    """Root mean squares of e_n in R rows side by side, n robots each, weighed by the trust w_k in each touchdown."""

    def __init__(self, num_rows: int, num_robots: int, device: torch.device | str) -> None:
        """Allocate zero sums."""
        self._shape = (num_rows, num_robots)
        self._sums = torch.zeros(num_rows, 5, device=device)
        self._offset = torch.zeros(num_rows * num_robots, 2, device=device)

    def add(self, output: TeacherOutput, counting: torch.Tensor) -> None:
        """Add one evaluation of the teacher.

        Args:
            output: Its output for N = R n robots.
            counting: Robots whose touchdowns count. Shape (R, n).
        """
        landed = output.touchdown * output.weight * counting.flatten()
        steady, error = landed * output.steady, output.touchdown_error
        # The landing foot moves one-to-one with the offset: without it the error is larger by it.
        without = error + self._offset
        self._offset = output.offset.clone()
        columns = (landed, landed * _square(error), landed * _square(without), steady, steady * _square(error))
        self._sums += torch.stack(columns, dim=-1).view(*self._shape, -1).sum(1)

    def results(self) -> list[Result]:
        """Read the rows.

        Returns:
            For each row the error of all steps, that of steps without a new command, and a first-order estimate
            of that of all steps without the learned offset; None where no foot landed [m].
        """
        rows: list[Result] = []
        for landed, square, without, steady, steady_square in self._sums.tolist():
            rows.append(
                {
                    "dcm_error": _root(square, landed),
                    "dcm_error_steady": _root(steady_square, steady),
                    "dcm_error_without_offset": _root(without, landed),
                }
            )
        return rows


def _square(error: torch.Tensor) -> torch.Tensor:
    return error.square().sum(-1)


def _root(square: float, weight: float) -> float | None:
    return (square / weight) ** 0.5 if weight > 0.0 else None
