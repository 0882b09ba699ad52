import time

import pytest

from legged_gym.sim.viewer import KEY_QUIT, KEY_TOGGLE, Viewer, ViewerClosed


class CountingViewer(Viewer):
    """Counts the pictures."""

    pictures = 0
    open = True

    def _is_open(self) -> bool:
        return self.open

    def _draw(self) -> None:
        self.pictures += 1

    def close(self) -> None:
        self.open = False


def test_v_switches_drawing_off_and_on() -> None:
    viewer = CountingViewer(0.02)
    viewer.update()
    assert viewer.pictures == 1
    viewer.on_key(KEY_TOGGLE)
    time.sleep(0.02)
    viewer.update()
    assert viewer.pictures == 1
    viewer.on_key(KEY_TOGGLE)
    viewer.update()
    assert viewer.pictures == 2


def test_escape_ends_the_run_like_ctrl_c() -> None:
    viewer = CountingViewer(0.02)
    viewer.on_key(KEY_QUIT)
    with pytest.raises(ViewerClosed):
        viewer.update()
    assert issubclass(ViewerClosed, KeyboardInterrupt)


def test_a_closed_window_ends_the_run() -> None:
    viewer = CountingViewer(0.02)
    viewer.close()
    with pytest.raises(ViewerClosed):
        viewer.update()


def test_drawing_does_not_slow_training_down() -> None:
    viewer = CountingViewer(0.02)
    start = time.perf_counter()
    for _ in range(1000):
        viewer.update()
    assert time.perf_counter() - start < 1.0 and viewer.pictures < 100


def test_real_time_waits() -> None:
    viewer = CountingViewer(0.02)
    viewer.realtime = True
    start = time.perf_counter()
    for _ in range(10):
        viewer.update()
    assert time.perf_counter() - start >= 0.15
