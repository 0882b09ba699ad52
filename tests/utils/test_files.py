"""A file is the old one or the new one."""

from pathlib import Path

import pytest

from legged_gym.utils.files import replacing


def test_a_file_is_replaced_or_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            temporary.write_text(text)
            assert temporary.suffix == ".json" and (text == "old" or path.read_text() == "old")
    with pytest.raises(OSError, match="No space"), replacing(path) as temporary:
        temporary.write_text("half")
        raise OSError("No space left on device")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]
