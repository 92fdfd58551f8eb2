"""What processes wrote that write one version together, and what that comes to."""
