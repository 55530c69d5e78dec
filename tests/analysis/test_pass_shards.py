"""Parts of a pass on disk: taken as they were written, or computed again."""

import logging
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hf_sslgen.analysis.pass_shards import Processes, compute_shards, is_whole, read_shards

TENSORS = {
    "features": torch.arange(12, dtype=torch.float32).reshape(3, 4),
    "unchanged": torch.tensor([True, False, True]),
}


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "subset.safetensors"
    compute_shards({path: (3, lambda: TENSORS)}, Processes(), "test")
    return path


def content(path: Path) -> dict[str, list]:
    with safe_open(path, framework="pt") as shard:
        return {name: shard.get_tensor(name).tolist() for name in shard.offset_keys()}


def test_every_flipped_bit_is_noticed_or_changes_nothing(shard: Path) -> None:
    whole, expected = shard.read_bytes(), content(shard)
    noticed = 0
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        shard.write_bytes(flipped)
        if is_whole(shard):
            assert content(shard) == expected
        else:
            noticed += 1
    assert noticed > 7.5 * len(whole)


def test_a_shard_that_is_cut_or_of_an_earlier_version_is_computed_again(shard: Path, caplog) -> None:
    whole = shard.read_bytes()
    for harm in (
        lambda: shard.write_bytes(whole[:-1]),
        lambda: shard.write_bytes(b""),
        lambda: save_file(TENSORS, shard),
    ):
        harm()
        with caplog.at_level(logging.WARNING):
            compute_shards({shard: (3, lambda: TENSORS)}, Processes(), "test")
        assert f"{shard} is damaged and will be recomputed" in caplog.messages
        assert is_whole(shard)
        assert read_shards([shard], "features").tolist() == TENSORS["features"].tolist()
