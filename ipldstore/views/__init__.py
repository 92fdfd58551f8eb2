"""How a hierarchy looks: as data, in a terminal, in a notebook, and as a picture of changes."""
