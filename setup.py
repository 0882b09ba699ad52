"""Adds the robots and policies to a wheel; all else about the package is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithResources(build_py):
    """Puts `resources/` into a wheel; an editable install reads it where it lies."""

    def run(self) -> None:
        """Builds the package, then copies the data beside it."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "legged_gym" / "resources"
            ignore = shutil.ignore_patterns("*.py", "__pycache__")
            shutil.copytree("resources", target, ignore=ignore, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithResources})
