"""Derive seeds from their purpose, so that randomness does not depend on workers, processes or interruptions."""

import hashlib


def derive_seed(*parts: int | str) -> int:
    """Derive a 63-bit seed from any names and numbers, such as a run's seed, the epoch and a sample's index."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
