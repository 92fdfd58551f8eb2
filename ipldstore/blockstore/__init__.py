"""What a block store is: the contract, what some can do besides, and when an event loop waits."""
