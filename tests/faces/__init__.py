"""How a store behaves towards zarr-python."""
