"""What Zarr's metadata says of a hierarchy: groups, arrays, grids, and which key is which chunk."""
