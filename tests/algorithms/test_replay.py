"""What is kept of past rollouts, and that the policy learns from it."""

import io

import pytest
import torch
from tensordict import TensorDict

from legged_gym.algorithms.replay import Replay

STEPS, ROBOTS = 3, 4


def rollout(number: float) -> TensorDict:
    """Observations that say of which rollout they are, and which of its samples."""
    sample = torch.arange(STEPS * ROBOTS, dtype=torch.float32).view(STEPS, ROBOTS, 1)
    groups = {"policy": torch.cat((torch.full_like(sample, number), sample), dim=-1), "history": sample}
    return TensorDict(groups, batch_size=[STEPS, ROBOTS])


def test_the_last_rollouts_are_kept_whole() -> None:
    replay = Replay(["policy"], samples=3 * STEPS * ROBOTS - 1)
    assert len(replay) == 0
    for number, kept in ((1.0, [1.0]), (2.0, [1.0, 2.0]), (3.0, [2.0, 3.0]), (4.0, [3.0, 4.0])):
        replay.add(rollout(number))
        samples = replay.gather(torch.arange(len(replay)))
        assert list(samples.keys()) == ["policy"]
        found = sorted(map(tuple, samples["policy"].tolist()))
        assert found == [(n, float(i)) for n in kept for i in range(STEPS * ROBOTS)]


def test_one_rollout_is_kept_however_large() -> None:
    replay = Replay(["policy"], samples=1)
    replay.add(rollout(1.0))
    replay.add(rollout(2.0))
    assert len(replay) == STEPS * ROBOTS
    assert replay.gather(torch.arange(len(replay)))["policy"][:, 0].unique().tolist() == [2.0]


def test_samples_are_drawn_from_all_that_is_kept_and_from_nothing_else() -> None:
    torch.manual_seed(0)
    replay = Replay(["policy"], samples=1000)
    replay.add(rollout(1.0))
    replay.add(rollout(2.0))
    drawn = replay.draw(1000, "cpu")
    assert set(drawn.tolist()) == set(range(2 * STEPS * ROBOTS))


def test_memory_stays_where_it_is() -> None:
    """A recorded step reads it."""
    replay = Replay(["policy"], samples=3 * STEPS * ROBOTS - 1)
    replay.add(rollout(1.0))
    before = replay._kept["policy"].data_ptr()
    for number in (2.0, 3.0):
        replay.add(rollout(number))
    assert replay._kept["policy"].data_ptr() == before


def test_what_is_saved_is_no_larger_than_what_is_kept() -> None:
    """A view into the room for more would bring all of it into the file."""
    replay, file = Replay(["policy"], samples=100 * STEPS * ROBOTS), io.BytesIO()
    replay.add(rollout(1.0))
    torch.save(replay.state_dict(), file)
    assert file.tell() < 4000
    for number in range(2, 102):
        replay.add(rollout(float(number)))
    assert replay.state_dict()["kept"]["policy"].data_ptr() == replay._kept["policy"].data_ptr(), "no copy of it all"


def restored(room: int, saved_room: int, rollouts: int) -> Replay:
    """A replay with room for some rollouts that has taken over what one with another room kept of so many."""
    saved, replay = (Replay(["policy"], samples=n * STEPS * ROBOTS) for n in (saved_room, room))
    for number in range(1, rollouts + 1):
        saved.add(rollout(float(number)))
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    replay.load_state_dict(torch.load(io.BytesIO(file.getvalue())), rollout(0.0))
    return replay


@pytest.mark.parametrize(
    ("room", "saved_room", "rollouts", "kept"),
    [
        (3, 3, 2, [1.0, 2.0]),
        (3, 3, 5, [3.0, 4.0, 5.0]),
        (9, 3, 5, [3.0, 4.0, 5.0]),
        (2, 3, 5, [4.0, 5.0]),
        (1, 3, 4, [4.0]),
    ],
)
def test_what_was_saved_is_what_is_replayed(room: int, saved_room: int, rollouts: int, kept: list[float]) -> None:
    replay = restored(room, saved_room, rollouts)
    assert len(replay) == len(kept) * STEPS * ROBOTS, "no memory that nothing was written to"
    assert replay.gather(torch.arange(len(replay)))["policy"][:, 0].unique().tolist() == kept
    replay.add(rollout(99.0))
    left = [*kept, 99.0][-room:]
    assert replay.gather(torch.arange(len(replay)))["policy"][:, 0].unique().tolist() == left, "the oldest goes first"


def test_a_full_replay_goes_on_in_the_same_order() -> None:
    """A run that resumes draws what it would have drawn."""
    saved, replay = (Replay(["policy"], samples=3 * STEPS * ROBOTS) for _ in range(2))
    for number in range(5):
        saved.add(rollout(float(number)))
    replay.load_state_dict(saved.state_dict(), rollout(0.0))
    rows = torch.arange(len(saved))
    assert torch.equal(replay.gather(rows)["policy"], saved.gather(rows)["policy"])


def test_what_cannot_be_replayed_is_refused() -> None:
    saved = Replay(["policy"], samples=3 * STEPS * ROBOTS)
    saved.add(rollout(1.0))
    replay, state = Replay(["policy"], samples=3 * STEPS * ROBOTS), saved.state_dict()
    wide = {"policy": state["kept"]["policy"].repeat(1, 2)}
    for wrong in ({"size": STEPS}, {"added": 0}, {"kept": wide}, {"kept": {"history": state["kept"]["policy"]}}):
        with pytest.raises(ValueError, match="replay"):
            replay.load_state_dict(state | wrong, rollout(0.0))
        assert len(replay) == 0
    saved.clear()
    replay.load_state_dict(saved.state_dict(), rollout(0.0))
    assert len(replay) == 0
