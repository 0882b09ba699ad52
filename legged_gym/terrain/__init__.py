"""Ground that is not a plane: profiles and levels, as height field and triangle mesh. Knows no simulator."""
