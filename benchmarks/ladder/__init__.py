"""The models of the CPU ladder, in our engine and in each peer, from the same weights."""
