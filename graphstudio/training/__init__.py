"""Training in a process of its own: messages, the worker, the loop, and the record of runs."""
