"""Seeded generators of random numbers, one for each purpose, so that no draw depends on another."""

from hashlib import blake2b

import numpy as np

__all__ = ["generator"]


def generator(seed: int, *labels: str | int) -> np.random.Generator:
    """Return the generator of a purpose, such as ("household", site, day); equal labels draw alike."""
    digest = blake2b("\x1f".join(map(str, labels)).encode(), digest_size=16).digest()
    words = np.frombuffer(digest, dtype="<u4").tolist()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))
