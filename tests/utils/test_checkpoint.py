"""Checkpoints: whole or not there, and no code runs on loading."""

import itertools
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from legged_gym.utils import checkpoint
from legged_gym.utils.checkpoint import load_checked, save_atomically
from legged_gym.utils.errors import UserError
from tests.interruptions import interrupted

CONTENT = {
    "iter": 3,
    "weights": torch.arange(5000.0),
    "rng": torch.get_rng_state(),
    "state": {"a": (1, 2.0, "x", None)},
}


class Intruder:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_checked(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


def test_round_trip(tmp_path: Path) -> None:
    save_atomically(CONTENT, tmp_path / "model_3.pt")
    data = load_checked(tmp_path / "model_3.pt")
    assert torch.equal(data["weights"], CONTENT["weights"]) and data["state"] == CONTENT["state"]  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["model_3.pt"]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_truncated_files(tmp_path: Path, share: float) -> None:
    path = tmp_path / "model_3.pt"
    save_atomically(CONTENT, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert "is damaged or no checkpoint of legged_gym" in refusal(path)


def test_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "model_3.pt"
    assert "no such checkpoint" in refusal(path)
    path.write_text("not a checkpoint")
    assert "is damaged or no checkpoint" in refusal(path)
    torch.save({"model_state_dict": {}}, path)
    assert "is a torch file, but no checkpoint of legged_gym" in refusal(path)
    torch.save([1, 2], path)
    assert "is a torch file, but no checkpoint of legged_gym" in refusal(path)
    torch.save({"format": checkpoint.FORMAT, "version": 99}, path)
    assert "has checkpoint version 99, this legged_gym reads version 1" in refusal(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_no_code_of_the_file_is_run(tmp_path: Path, legacy: bool) -> None:
    path, trace = tmp_path / "model_3.pt", tmp_path / "trace"
    content = {"format": checkpoint.FORMAT, "version": checkpoint.VERSION, "x": Intruder(trace)}
    if legacy:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    refusal(path)
    assert not trace.exists()


@pytest.mark.parametrize("exception", [KeyboardInterrupt, OSError])
def test_an_interrupted_save_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exception: type[BaseException]
) -> None:
    path = tmp_path / "model_3.pt"
    save_atomically(CONTENT, path)
    before = path.read_bytes()

    def half(obj: object, file: Any) -> None:
        file.write(b"half")
        raise exception

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(exception):
        save_atomically(CONTENT, path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_a_signal_in_the_middle_of_a_save_is_never_taken_for_a_full_disk(tmp_path: Path) -> None:
    """Wherever Python could see it: the save ends with it, and a whole file is there, the old one or the new one."""
    path, old, new = tmp_path / "model_1.pt", {"a": torch.zeros(3)}, {"a": torch.ones(3)}
    save_atomically(old, path)
    whole = path.read_bytes()
    for call in itertools.count():
        path.write_bytes(whole)
        stopped = False
        try:
            with interrupted(call):
                save_atomically(new, path)
        except KeyboardInterrupt:
            stopped = True
        assert [file.name for file in tmp_path.iterdir()] == [path.name]
        assert load_checked(path)["a"].tolist() in (old["a"].tolist(), new["a"].tolist())
        if not stopped:
            break
    assert load_checked(path)["a"].tolist() == new["a"].tolist(), "the signal in the call before was swallowed"
    assert call > 50


def test_a_flipped_bit_never_gives_other_numbers(tmp_path: Path) -> None:
    path, draw = tmp_path / "model_3.pt", random.Random(0)
    save_atomically(CONTENT, path)
    whole = path.read_bytes()
    refused = 0
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            data = load_checked(path)
        except UserError as error:
            assert "\n" not in str(error)
            refused += 1
        else:  # in what is not read
            assert torch.equal(data["weights"], CONTENT["weights"]) and torch.equal(data["rng"], CONTENT["rng"])  # type: ignore[arg-type]
            assert data["state"] == CONTENT["state"] and data["iter"] == 3
    assert refused > 180


@pytest.mark.parametrize("text", [b"", b"abc", b"root:x:0:0:root:/root:/bin/bash\n", b"\x80\x04.", b"cos\nsystem\n"])
def test_files_of_any_kind_are_refused_in_one_line(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "model_3.pt"
    path.write_bytes(text)
    assert "is damaged or no checkpoint" in refusal(path)


def test_an_archive_that_grows_when_it_is_read_is_refused(tmp_path: Path) -> None:
    path, bomb = tmp_path / "model_3.pt", tmp_path / "bomb.pt"
    torch.save({"format": checkpoint.FORMAT, "version": checkpoint.VERSION, "x": torch.zeros(1_000_000)}, path)
    with zipfile.ZipFile(path) as stored, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for part in stored.infolist():
            packed.writestr(part.filename, stored.read(part))
    assert bomb.stat().st_size < 100_000 and "compressed" in refusal(bomb)
