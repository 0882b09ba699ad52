"""A checkpoint of other networks is refused with the option that makes them fit."""

from pathlib import Path

import pytest

from legged_gym.utils.checkpoint import load_checked, save_atomically
from legged_gym.utils.errors import UserError
from tests.runners.making import small_run


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "run"
    small_run(folder).learn(1)
    return folder / "model_1.pt"


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("train.policy.actor_hidden_dims", "add --train.policy.actor_hidden_dims=16"),
        ("train.policy.critic_hidden_dims", "add --train.policy.critic_hidden_dims=16"),
        ("train.estimator.hidden_dims", "add --train.estimator.hidden_dims=16"),
    ],
)
@pytest.mark.parametrize("layers", ["8", "16,16"])
def test_other_layers(saved: Path, option: str, text: str, layers: str) -> None:
    with pytest.raises(UserError, match=text) as caught:
        small_run(None, **{option: layers}).load(str(saved))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["actor_state_dict", "optimizer_state_dict", "iter", "env_state", "rng_state"])
@pytest.mark.parametrize("value", [None, 1, "x", {}, [1]])
def test_content_that_is_something_else(saved: Path, tmp_path: Path, name: str, value: object) -> None:
    path = tmp_path / "model_1.pt"
    content = load_checked(saved)
    content[name] = value
    save_atomically(content, path)
    run = small_run(None)
    try:
        run.load(str(path))
    except UserError as error:
        assert "\n" not in str(error) and str(path) in str(error)
    else:
        assert name == "iter" and value == 1


def test_a_run_cannot_have_begun_after_its_last_iteration(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "model_1.pt"
    save_atomically(load_checked(saved) | {"first_iteration": 7}, path)
    with pytest.raises(UserError, match=r"first_iteration is 7, after iter, 1"):
        small_run(None).load(str(path))
