"""Block stores made of other block stores: a cache in front of one, and several as one."""
