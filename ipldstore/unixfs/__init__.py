"""UnixFS: large values as files of several blocks, and whole hierarchies as plain directories."""
