import threading
import time

import numpy as np
import pytest

from legged_gym.viewer.controls import Controls
from legged_gym.viewer.view import View, ViewerClosed
from legged_gym.viewer.viewer import Viewer

LIMITS = [(-1.0, 1.0), (-0.6, 0.6), (-1.0, 1.0)]


class CountingScreen:
    """Counts the pictures."""

    def __init__(self) -> None:
        self.pictures = 0
        self.watched = self.is_open = True

    def show(self, view: View) -> None:
        self.pictures += 1

    def close(self) -> None:
        self.is_open = False


def make_viewer(controls: Controls | None = None) -> tuple[Viewer, CountingScreen]:
    screen = CountingScreen()
    return Viewer(screen, lambda: View(np.zeros((1, 13))), 0.02, controls), screen


def test_nothing_is_drawn_while_nobody_looks() -> None:
    viewer, screen = make_viewer()
    viewer.update()
    assert screen.pictures == 1
    screen.watched = False
    time.sleep(0.02)
    viewer.update()
    assert screen.pictures == 1


def test_a_closed_window_ends_the_run_like_ctrl_c() -> None:
    viewer, _ = make_viewer()
    viewer.close()
    with pytest.raises(ViewerClosed):
        viewer.update()
    assert issubclass(ViewerClosed, KeyboardInterrupt)


def test_who_wants_to_hears_of_it_instead() -> None:
    viewer, screen = make_viewer()
    closed = []
    viewer.on_close = lambda: closed.append(True)
    viewer.close()
    viewer.update()
    assert closed == [True] and screen.pictures == 0


def test_a_pause_does_not_outlast_what_ends_the_run() -> None:
    controls = Controls(LIMITS)
    viewer, _ = make_viewer(controls)
    controls.press("pause")
    viewer.must_go_on = lambda: True
    start = time.perf_counter()
    viewer.update()
    assert time.perf_counter() - start < 1.0


def test_drawing_does_not_slow_training_down() -> None:
    viewer, screen = make_viewer()
    start = time.perf_counter()
    for _ in range(1000):
        viewer.update()
    assert time.perf_counter() - start < 1.0 and screen.pictures < 100


@pytest.mark.parametrize(("speed", "least"), [(1.0, 0.15), (0.25, 0.6)])
def test_real_time_and_slow_motion_wait(speed: float, least: float) -> None:
    controls = Controls(LIMITS)
    viewer, _ = make_viewer(controls)
    viewer.realtime, controls.speed = True, speed
    start = time.perf_counter()
    for _ in range(10):
        viewer.update()
    assert least <= time.perf_counter() - start < least + 1.0


def test_a_paused_viewer_waits_until_the_user_goes_on_and_single_steps_are_single() -> None:
    controls = Controls(LIMITS)
    viewer, _ = make_viewer(controls)
    steps = []

    def simulate() -> None:
        for step in range(5):
            viewer.update()
            steps.append(step)

    controls.press("pause")
    thread = threading.Thread(target=simulate)
    thread.start()
    time.sleep(0.2)
    assert steps == []
    for count in (1, 2):
        controls.press("single step")
        time.sleep(0.2)
        assert len(steps) == count
    controls.press("pause")
    thread.join(timeout=5.0)
    assert len(steps) == 5
