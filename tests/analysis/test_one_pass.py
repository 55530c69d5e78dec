"""The single pass: how many forward passes it takes, batch sizes, shards, interruptions, and two processes."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import warm_python

from hf_sslgen.analysis import pass_shards
from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.batch_pass import Wanted
from hf_sslgen.analysis.one_pass import PassResults, one_pass
from hf_sslgen.analysis.subset import analysis_subset, others_of, subset_pixels
from hf_sslgen.analysis.transforms import VARIANTS, Variant
from hf_sslgen.zoo.anatomy import find_attribution_layer
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone

SETTINGS = AnalysisSettings(max_subset=24, batch_size=5)
MOVES = (VARIANTS["rotation", "+20"], VARIANTS["resized_crop", "0.5"])


@pytest.fixture(params=["timm_resnet", "transformers_vit"])
def backbone(request: pytest.FixtureRequest, small_backbones: dict[str, str], digits_domain: Any) -> LoadedBackbone:
    return load_backbone(small_backbones[request.param], digits_domain.class_names)


def wanted(backbone: LoadedBackbone, domain: Any, variants: tuple[Variant, ...] = MOVES) -> Wanted:
    subset = analysis_subset(domain.test, SETTINGS)
    layer = find_attribution_layer(backbone.model)
    pixels = subset_pixels(backbone, subset)
    return Wanted(subset, pixels, others_of(domain.test, subset), variants, layer)


@contextmanager
def counted(backbone: LoadedBackbone) -> Iterator[list[int]]:
    """The batch size of every forward pass of images inside the block."""
    sizes: list[int] = []

    def count(_: Any, __: Any, outputs: Any) -> None:
        if torch.is_grad_enabled() or torch.is_inference_mode_enabled():  # otherwise folded and unfolded are compared
            sizes.append(len(outputs.logits))

    handle = backbone.model.register_forward_hook(count)
    try:
        yield sizes
    finally:
        handle.remove()


def columns(outputs: PassResults, variants: tuple[Variant, ...] = MOVES) -> dict[str, np.ndarray]:
    found = {"logits": outputs.logits, "other_logits": outputs.other_logits}
    found |= {"features": outputs.features, "maps": outputs.maps}
    for variant in variants:
        moved = outputs.moved(variant)
        found |= {f"{variant.transform} {name}": values for name, values in vars(moved).items()}
    return found


def run(backbone: LoadedBackbone, asked: Wanted, settings: AnalysisSettings = SETTINGS, **where: Any) -> dict:
    with one_pass(backbone, asked, settings, pass_shards.Run(**where)) as outputs:
        return columns(outputs)


def assert_same(first: dict[str, np.ndarray], second: dict[str, np.ndarray], tolerance: float = 0.0) -> None:
    assert first.keys() == second.keys()
    for name, values in first.items():
        assert values.shape == second[name].shape
        if tolerance and values.dtype == np.float32:
            scale = float(np.abs(values).max())
            np.testing.assert_allclose(second[name], values, rtol=0, atol=tolerance * scale, err_msg=name)
        else:
            np.testing.assert_array_equal(second[name], values, err_msg=name)


def test_it_takes_one_forward_pass_and_one_for_each_transform(backbone: LoadedBackbone, digits_domain: Any) -> None:
    with counted(backbone) as sizes:
        run(backbone, wanted(backbone, digits_domain))
    assert sum(sizes) == len(digits_domain.test) + 24 * len(MOVES)
    assert max(sizes) == SETTINGS.batch_size


def test_batches_of_one_and_of_64_yield_the_same(backbone: LoadedBackbone, digits_domain: Any) -> None:
    asked = wanted(backbone, digits_domain)
    single, whole = (run(backbone, asked, replace(SETTINGS, batch_size=size)) for size in (1, 64))
    assert np.abs(single["maps"]).max() > 0
    assert_same(single, whole, tolerance=1e-5)


def test_a_batch_that_does_not_fit_is_halved(backbone: LoadedBackbone, digits_domain: Any) -> None:
    asked = wanted(backbone, digits_domain)
    expected = run(backbone, asked)

    def crowded(_: Any, __: Any, outputs: Any) -> None:
        if len(outputs.logits) > 3:
            raise torch.OutOfMemoryError("no memory for that many")

    handle = backbone.model.register_forward_hook(crowded)  # before the count, which sees what fitted
    with counted(backbone) as sizes:
        found = run(backbone, asked)
    handle.remove()
    assert max(sizes) == 3
    assert_same(expected, found, tolerance=1e-5)


def interrupted_at(call: int) -> tuple[Variant, ...]:
    """The same transforms, the first of which the user interrupts when it is called for the n-th time.

    A shard of eight images in batches of five takes four calls, because each batch is transformed by halves.
    """
    first, *others = MOVES
    batches = iter(range(1, 1000))

    def apply(pixels: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        if next(batches) == call:
            raise KeyboardInterrupt
        return first.apply(pixels, seeds)

    return (replace(first, apply=apply), *others)


def test_an_interrupted_pass_goes_on_by_shards(
    backbone: LoadedBackbone, digits_domain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_shards, "SHARD_IMAGES", 8)
    expected = run(backbone, wanted(backbone, digits_domain))
    with pytest.raises(KeyboardInterrupt):
        run(backbone, wanted(backbone, digits_domain, interrupted_at(5)), shards=tmp_path)
    (kept,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert kept.name == "subset-000000-000008.safetensors"
    with counted(backbone) as sizes:
        assert_same(expected, run(backbone, wanted(backbone, digits_domain), shards=tmp_path))
    assert sum(sizes) == len(digits_domain.test) + 24 * len(MOVES) - 8 * (1 + len(MOVES))
    with counted(backbone) as sizes:
        assert_same(expected, run(backbone, wanted(backbone, digits_domain), shards=tmp_path))
    assert sizes == []


def test_only_what_is_missing_or_damaged_is_computed_again(
    backbone: LoadedBackbone, digits_domain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_shards, "SHARD_IMAGES", 8)
    asked = wanted(backbone, digits_domain)
    expected = run(backbone, asked, shards=tmp_path)
    first, second, _ = sorted(tmp_path.rglob("subset-*.safetensors"))
    first.write_bytes(first.read_bytes()[:-10])
    second.unlink()
    with counted(backbone) as sizes:
        found = run(backbone, asked, shards=tmp_path)
    assert sum(sizes) == 2 * 8 * (1 + len(MOVES))
    assert_same(expected, found)


@pytest.mark.parametrize("change", ["weights", "settings", "images", "normalisation", "configuration"])
def test_shards_of_something_else_are_not_used(
    change: str, backbone: LoadedBackbone, digits_domain: Any, tmp_path: Path
) -> None:
    asked, settings = wanted(backbone, digits_domain), SETTINGS
    run(backbone, asked, shards=tmp_path)
    if change == "weights":
        with torch.no_grad():
            next(backbone.model.parameters()).mul_(1.01)
    elif change == "settings":
        settings = replace(SETTINGS, seed=1)
    elif change == "images":
        asked = replace(asked, pixels=asked.pixels // 2)
    elif change == "normalisation":
        backbone = replace(backbone, preprocessing=replace(backbone.preprocessing, mean=(0.4, 0.4, 0.4)))
    else:
        backbone.model.config.initializer_range = 0.1  # nothing that is computed with, but known only to the network
    with counted(backbone) as sizes:
        found = run(backbone, asked, settings, shards=tmp_path)
    assert sum(sizes) == len(digits_domain.test) + 24 * len(MOVES)
    assert_same(run(backbone, asked, settings), found)


def test_processes_share_the_shards_out(backbone: LoadedBackbone, digits_domain: Any, tmp_path: Path) -> None:
    """Each does its own and finds those of the others there when it has waited."""
    asked = wanted(backbone, digits_domain)
    expected = run(backbone, asked)
    done: list[int] = []
    outcomes: list[dict] = []

    def wait_for_second() -> None:
        with (
            counted(backbone) as sizes,
            one_pass(backbone, asked, SETTINGS, pass_shards.Run(tmp_path, pass_shards.Processes(1, 2))) as out,
        ):
            outcomes.append(columns(out))
        done.append(sum(sizes))

    with counted(backbone) as sizes:
        outcomes.append(run(backbone, asked, shards=tmp_path, processes=pass_shards.Processes(0, 2, wait_for_second)))
    total = len(digits_domain.test) + 24 * len(MOVES)
    assert sum(sizes) == total and 0 < done[0] < total
    for outcome in outcomes:
        assert_same(expected, outcome, tolerance=1e-5)


def command(location: str, output: Path) -> list[str]:
    recipe = str(Path(__file__).parents[2] / "recipes" / "analyze.py")
    arguments = ["--model_name_or_path", location, "--dataset_name", "digits", "--output_dir", str(output)]
    return [recipe, *arguments, "--transforms", "standard"]


ENVIRONMENT = {**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}


def numbers(output: Path) -> dict[tuple[str, str, str], float]:
    rows = json.loads((output / "results.json").read_text())["numbers"]
    return {(row["metric"], row["transform"], row["severity"]): row["value"] for row in rows}


@pytest.fixture(scope="module")
def tuned(small_backbones: dict[str, str], digits_domain: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint with a classifier for the digits."""
    folder = tmp_path_factory.mktemp("tuned") / "model"
    load_backbone(small_backbones["transformers_vit"], digits_domain.class_names).model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        (Path(small_backbones["transformers_vit"]) / "preprocessor_config.json").read_text()
    )
    return str(folder)


def wait_until(condition: Callable[[], bool], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_two_processes_and_a_killed_one_end_with_the_same_numbers(tuned: str, tmp_path: Path) -> None:
    alone, together, killed = (tmp_path / name for name in ("alone", "together", "killed"))
    printed = warm_python.run(command(tuned, alone), ENVIRONMENT, check=True).stdout
    printed_by_two, _ = warm_python.run_together(command(tuned, together), ENVIRONMENT, 2)
    assert printed.count("accuracy ") == printed_by_two.count("accuracy ") > 0

    process = warm_python.start(command(tuned, killed), ENVIRONMENT)
    wait_until(lambda: process.poll() is not None or any(killed.rglob("*.safetensors")))
    process.kill()
    assert process.wait() == -signal.SIGKILL
    warm_python.run(command(tuned, killed), ENVIRONMENT, check=True)

    expected = numbers(alone)
    for output in (together, killed):
        assert not (output / "unfinished").exists()
        found = numbers(output)
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert found[key] == (value if value is None else pytest.approx(value, rel=1e-3, abs=1e-4)), key
