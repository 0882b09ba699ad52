"""Gamepads that SDL simulates, read through pygame as a real one is."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("pygame", reason="no pygame: pip install -e '.[viewer]'")
PROGRAM = """
import ctypes, sys
from pathlib import Path

import pygame

known = sys.argv[1] == "known"
pygame.display.init()
pygame.joystick.init()
lines = Path("/proc/self/maps").read_text().splitlines()
sdl = ctypes.CDLL(next(line.split()[-1] for line in lines if "libSDL2-2" in line or "libSDL2-2.0" in line))
kind, axes, buttons = (1, 6, 15) if known else (0, 6, 10)  # 1: a game controller
assert sdl.SDL_JoystickAttachVirtual(kind, axes, buttons, 0) == 0
from legged_gym.viewer.controls import Controls
from legged_gym.viewer.gamepad import find_gamepad

controls = Controls([(-0.5, 1.0), (-0.6, 0.6), (-1.0, 1.0)])
pad = find_gamepad(controls)
sdl.SDL_JoystickFromInstanceID.restype = ctypes.c_void_p
handle = ctypes.c_void_p(sdl.SDL_JoystickFromInstanceID(pad._joystick.get_instance_id()))
pad.poll()
assert controls.command is None, "at rest it takes nothing over"


def tilt(axis, share):
    sdl.SDL_JoystickSetVirtualAxis(handle, axis, ctypes.c_int16(round(32767 * share)))
    pad.poll()
    return [round(float(value), 2) for value in controls.command]


turn = 2 if known else 3  # SDL says where the right stick of a known pad is
print(pad.name, tilt(1, -1.0), tilt(0, 1.0), tilt(turn, -1.0))
sdl.SDL_JoystickSetVirtualButton(handle, 1, ctypes.c_uint8(1))
pad.poll()
print(controls.pop_wish("shove") is not None)
sdl.SDL_JoystickDetachVirtual(0)
pad.poll()
print(controls.command.tolist())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the test finds pygame's SDL as Linux lists it")
@pytest.mark.parametrize("kind", ["known", "unknown"])
def test_sticks_drive_buttons_press_and_an_unplugged_pad_stops(kind: str) -> None:
    environment = os.environ | {"SDL_VIDEODRIVER": "dummy"}
    command = [sys.executable, "-c", PROGRAM, kind]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    *_, moved, shoved, stopped = done.stdout.splitlines()
    assert moved.startswith("Virtual ") and moved.endswith("[1.0, 0.0, 0.0] [1.0, -0.6, 0.0] [1.0, -0.6, 1.0]")
    assert (shoved, stopped) == ("True", "[0.0, 0.0, 0.0]")
