"""A machine that every run of these tests fits on."""

import pytest

from legged_gym.utils import machine
from tests.options.making import CPU


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores and no GPU, whatever runs the tests."""
    monkeypatch.setattr(machine, "detect", lambda: CPU)
