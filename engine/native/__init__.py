"""Native programs: a plan's kernels generated as LLVM IR, for the processor at hand.

One function runs a whole program (a training step, an evaluation) on all threads, with
barriers between its kernels and no Python in between. Without llvmlite everything runs on the
NumPy kernels of ``engine.ops``, slower and with the same results to float32 rounding.
"""
