"""A start without garbage collection: what imports and set-up make stays, so looking for garbage among it is in vain.

Imports nothing slow: a script calls `begins` before it imports the rest.
"""

import gc


def begins() -> None:
    """Stop collecting garbage."""
    gc.disable()


def ends() -> None:
    """Collect garbage again, but not among what is there now. Does nothing if the start never began."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
