"""Ground that is not a plane: profiles and levels, as a height field and a triangle mesh. Needs no simulator."""
