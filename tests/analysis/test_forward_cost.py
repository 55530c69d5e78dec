"""The cost of a pass: memory and operations against closed forms, times of what is known to be slower."""

import pytest
import torch
from torch import nn

from hf_sslgen.analysis.forward_cost import count_flops, counted_memory, forward_cost

SIDE, HIDDEN, BATCH = 4, 1000, 8
FLOAT = 4


def two_layers() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3 * SIDE**2, HIDDEN, bias=False), nn.ReLU(), nn.Linear(HIDDEN, 10, bias=False)
    ).eval()


def test_memory_is_that_of_the_tensors_alive_at_once() -> None:
    weights = 3 * SIDE**2 * HIDDEN + HIDDEN * 10
    most = weights + BATCH * (3 * SIDE**2 + 2 * HIDDEN)  # the input, and what enters and leaves the ReLU
    assert counted_memory(two_layers(), torch.zeros(BATCH, 3, SIDE, SIDE)) == FLOAT * most


def test_a_large_batch_is_told_from_small_ones() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(4)).eval()
    found = forward_cost(network, 16, 32)
    assert (found.peak_memory, found.memory_batch_size) == (counted_memory(network, torch.zeros(32, 3, 16, 16)), 32)
    assert found.memory_method == "tensors counted"


def test_operations_are_those_of_the_layers() -> None:
    assert count_flops(two_layers(), torch.zeros(1, 3, SIDE, SIDE)) == 2 * (3 * SIDE**2 * HIDDEN + HIDDEN * 10)
    assert forward_cost(two_layers(), SIDE, BATCH).multiply_adds == 3 * SIDE**2 * HIDDEN + HIDDEN * 10


@pytest.mark.slow
def test_a_network_with_many_times_the_operations_is_slower() -> None:
    small, large = (
        forward_cost(nn.Sequential(nn.Conv2d(3, width, 3), *(nn.Conv2d(width, width, 3) for _ in range(3))), 32, 16)
        for width in (8, 128)
    )
    assert small.slowest > large.fastest
    for found in (small, large):
        assert found.slowest <= found.images_per_second <= found.fastest
        assert 5 <= found.num_batches <= 20 and 1 <= found.batch_size <= 16
        assert found.threads == torch.get_num_threads()
