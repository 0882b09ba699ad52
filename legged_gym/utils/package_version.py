"""The version of this package, for records of what trained or measured something."""

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """Return the version that is installed; "unknown" for a copy of the sources that is not."""
    try:
        return version("legged_gym")
    except PackageNotFoundError:
        return "unknown"
