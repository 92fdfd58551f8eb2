"""An IPFS node as a block store, and what it can do with the blocks: pin, announce, name."""
