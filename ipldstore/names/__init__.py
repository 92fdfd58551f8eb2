"""Which hierarchies are meant, by whatever names them, and where their blocks are."""
