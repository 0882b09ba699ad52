"""The web page in a real browser: it shows a robot that moves, keys and buttons drive it, and it needs no network."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from legged_gym import LEGGED_GYM_ROOT_DIR
from tests.viewer.browser import CHROMIUM, Page, open_page

pytest.importorskip("viser", reason="no viser: pip install -e '.[viewer]'")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no browser: install chromium")
SCRIPTS = LEGGED_GYM_ROOT_DIR / "legged_gym" / "scripts"
COMMAND = """(() => {
    const table = document.querySelector('#lg-command');
    return table && [table.dataset.x, table.dataset.y, table.dataset.w];
})()"""


@contextmanager
def serving(script: str, *argv: str, cwd: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Runs a script with a page, as a user would; gives the address that it prints."""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "ROBOT_TYPE")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [sys.executable, "-u", str(SCRIPTS / script), "--viewer=web", "--sim=mujoco", "--sim_device=cpu", *argv]
    process = subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://localhost:\d+", line):
                yield found[0], process
                return
        raise AssertionError("no address was printed:\n" + "".join(said))
    finally:
        process.kill()
        process.communicate()


def command(page: Page) -> list[float]:
    return [float(value) for value in page.wait_for(COMMAND)]


def wait_for_command(page: Page, x: float, y: float, w: float) -> None:
    near = " && ".join(f"Math.abs(c[{i}] - ({value})) < 0.006" for i, value in enumerate((x, y, w)))
    page.wait_for(f"(c => c && {near})({COMMAND})")


@needs_browser
def test_a_policy_is_driven_in_the_browser(tmp_path: Path) -> None:
    """The newcomer's second command: a robot that moves, keys that change what it is asked, and no network."""
    with (
        serving("play.py", "--agent=pretrained", "--num_envs=2", f"--out={tmp_path}", cwd=tmp_path) as (address, play),
        open_page(address) as page,
    ):
        command(page)
        page.press(" ")
        wait_for_command(page, 0.0, 0.0, 0.0)
        for key in ("ArrowUp", "ArrowUp", "ArrowUp", "ArrowLeft", "q", "q"):
            page.press(key)
        wait_for_command(page, 0.3, 0.05, 0.2)
        page.press("e")
        page.press("ArrowDown")
        wait_for_command(page, 0.2, 0.05, 0.1)
        page.wait_for("document.body.innerText.includes('you drive')")

        # The robot is in the middle and walks; the page's own camera has not been moved by the keys.
        page.wait_for("document.querySelector('canvas') !== null")
        pictures = [page.picture()]
        steps = page.evaluate("document.body.innerText.match(/([\\d.]+) s of the episode/)[1]")
        # Either way: an episode may end meanwhile, and the next one begin.
        page.wait_for(f"Math.abs(document.body.innerText.match(/([\\d.]+) s of the episode/)[1] - {steps}) > 0.8")
        pictures.append(page.picture())
        middle = [picture[100:330, 20:300] for picture in pictures]
        assert middle[0].std() > 15.0, "something is seen"
        assert np.mean(np.abs(middle[1] - middle[0]).max(-1) > 40.0) > 0.005, "and it moves"

        page.press("f")
        page.press(" ")
        wait_for_command(page, 0.0, 0.0, 0.0)
        assert page.errors == []
        foreign = [url for url in page.requests if not url.startswith((address, "data:", "blob:"))]
        assert foreign == [], "the page needs no network"
        assert play.poll() is None
        listening = [c.laddr.ip for c in psutil.Process(play.pid).net_connections() if c.status == psutil.CONN_LISTEN]
        assert listening and set(listening) <= {"127.0.0.1", "::1"}, "it listens on this machine only"


@needs_browser
def test_a_training_is_watched_in_the_browser(tmp_path: Path) -> None:
    """Robots are seen, one may be picked, and the run is not driven."""
    options = ("--headless", "--num_envs=8", f"--log_root={tmp_path}", "--max_iterations=100000")
    with serving("train.py", *options, cwd=tmp_path) as (address, _), open_page(address) as page:
        command(page)
        page.wait_for("document.body.innerText.includes('robot')")
        assert not page.evaluate("document.body.innerText.includes('Shove')")
        assert page.evaluate("document.body.innerText.includes('Reward')")
        assert page.errors == []
