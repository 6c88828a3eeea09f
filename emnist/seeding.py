import numpy as np


def mix(*numbers: int) -> int:
    """One 63-bit seed of several numbers, such that (seed, epoch) = (0, 1) and (1, 0) have nothing in common."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
