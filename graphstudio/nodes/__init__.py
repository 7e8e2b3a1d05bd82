"""The node types: what can be drawn, and everything that is true of each of them."""
