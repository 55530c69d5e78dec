"""Run the single pass over a domain's images, shard by shard, so that an interruption loses little."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.batch_pass import GRAD_CAM, PlainColumn, Wanted, column_name, measure_batch
from hf_sslgen.analysis.batches import Batches
from hf_sslgen.analysis.network import Network, measuring
from hf_sslgen.analysis.pass_shards import ALONE, Run, compute_shards, parts, read_shards, shard_folder
from hf_sslgen.analysis.stored_outputs import StoredTrunk
from hf_sslgen.analysis.subset import evaluation_batch
from hf_sslgen.analysis.transforms import Variant
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.zoo.backbone_loading import LoadedBackbone


@dataclass(frozen=True, eq=False)
class Moved:
    """A backbone's outputs for transformed images.

    Attributes:
        features: (n, D).
        predictions: (n,) classes.
        unchanged: (n,), True where the transform did not change the image.
    """

    features: NDArray[np.float32]
    predictions: NDArray[np.int64]
    unchanged: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PassResults:
    """The results of a pass, read from its shards on demand."""

    subset: Sequence[Path]
    others: Sequence[Path]

    @property
    def logits(self) -> NDArray[np.float32]:
        """Logits (n, C) of the subset."""
        return read_shards(self.subset, "logits")

    @property
    def other_logits(self) -> NDArray[np.float32]:
        """Logits (N, C) of the other images."""
        return read_shards(self.others, "logits")

    @property
    def other_features(self) -> NDArray[np.float32]:
        """Features (N, D) of the other images, if that column was requested."""
        return read_shards(self.others, "features")

    @property
    def features(self) -> NDArray[np.float32]:
        """Features (n, D) of the subset, the classifier's input."""
        return read_shards(self.subset, "features")

    @property
    def maps(self) -> NDArray[np.float32]:
        """Signed maps (n, h, w) of the subset."""
        return read_shards(self.subset, "maps")

    def moved(self, variant: Variant) -> Moved:
        """Return the outputs for the subset's images after a transform."""
        columns = ("features", "predictions", "unchanged")
        return Moved(*(read_shards(self.subset, column_name(variant, column)) for column in columns))


def _measure_shard(
    network: Network, batches: Batches, wanted: Wanted, settings: AnalysisSettings, part: slice
) -> dict[str, Tensor]:
    rows = batches.map(part, partial(measure_batch, network, wanted, settings))
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


@torch.inference_mode()
def _plain_shard(
    network: Network, batches: Batches, split: ImageSplit, column: PlainColumn, part: slice
) -> dict[str, Tensor]:
    pixels = evaluation_batch(split, range(part.start, part.stop), network.preprocessing.geometry)

    def run(batch: slice) -> Tensor:
        outputs = network(pixels[batch])
        return (outputs.logits if column == "logits" else outputs.features).cpu()

    return {column: torch.cat(batches.map(slice(0, len(pixels)), run))}


def _digest(backbone: LoadedBackbone, wanted: Wanted, settings: AnalysisSettings) -> str:
    """Hash everything that a pass's results depend on to thirty-two hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    facts: dict[str, Any] = {
        "settings": dataclasses.asdict(settings),
        "variants": [(variant.transform, variant.severity) for variant in wanted.variants],
        "layer": None if wanted.layer is None else dataclasses.asdict(wanted.layer),
        "classes": None if wanted.classes is None else wanted.classes.tolist(),
        "subset": wanted.subset.sample_ids.tolist(),
        "others": None if wanted.others is None else wanted.others.fingerprint(),
        "preprocessing": dataclasses.asdict(backbone.preprocessing),
        "config": json.loads(backbone.model.config.to_json_string(use_diff=False)),
    }
    del facts["config"]["_name_or_path"]  # a local folder
    if wanted.column != "logits":
        facts["column"] = wanted.column
    digest.update(json.dumps(facts, sort_keys=True).encode())
    digest.update(wanted.pixels.numpy().data)
    for name, tensor in backbone.model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


@contextmanager
def one_pass(
    backbone: LoadedBackbone, wanted: Wanted, settings: AnalysisSettings, run: Run = ALONE
) -> Iterator[PassResults]:
    """Run a backbone over images, shard by shard.

    Args:
        run: if it names a folder, finished shards are kept there, and shards of the same weights, images and settings
            found there are not recomputed.

    Raises:
        InputError: an image can't be decoded, the layer does not hold a map, or a single image does not fit into
            memory.
    """
    batches = Batches(settings.batch_size)
    taps = settings.attribution_method == GRAD_CAM
    with shard_folder(run.shards) as parent, measuring(backbone, settings.compute, wanted.layer, taps) as network:
        folder = parent if run.shards is None else parent / _digest(backbone, wanted, settings)
        work: dict[Path, tuple[int, Callable[[], dict[str, Tensor]]]] = {}
        of_subset, of_others = [], []
        for part in parts(len(wanted.subset), settings.batch_size, run.processes):
            path = folder / f"subset-{part.start:06}-{part.stop:06}.safetensors"
            of_subset.append(path)
            num_passes = (part.stop - part.start) * (1 + len(wanted.variants))
            work[path] = num_passes, partial(_measure_shard, network, batches, wanted, settings, part)
        if wanted.others is not None:
            for part in parts(len(wanted.others), settings.batch_size, run.processes, wanted.column == "features"):
                path = folder / f"others-{part.start:06}-{part.stop:06}.safetensors"
                of_others.append(path)
                compute = partial(_plain_shard, network, batches, wanted.others, wanted.column, part)
                work[path] = part.stop - part.start, compute
        compute_shards(work, run.processes, f"{backbone.name}: {wanted.subset.name}")
        yield PassResults(of_subset, of_others)


def split_logits(
    backbone: LoadedBackbone, split: ImageSplit, settings: AnalysisSettings, run: Run = ALONE
) -> NDArray[np.float32]:
    """Compute the logits (N, C) of a split's images, in its order."""
    with one_pass(backbone, Wanted.one_column(split, "logits"), settings, run) as outputs:
        return outputs.other_logits


def split_features(
    backbone: LoadedBackbone, split: ImageSplit, settings: AnalysisSettings, run: Run = ALONE
) -> NDArray[np.float32]:
    """Return the features (N, D) of a split's images, the classifier's input, in its order; from a store, if any."""
    if run.features is not None:
        return StoredTrunk(backbone, settings, run.features).features(split)
    with one_pass(backbone, Wanted.one_column(split, "features"), settings, run) as outputs:
        return outputs.other_features


def test_features(
    backbone: LoadedBackbone, test: ImageSplit, settings: AnalysisSettings, run: Run = ALONE
) -> NDArray[np.float32]:
    """Like `split_features`, for test images; with a store, what attribution needs of them is stored as well."""
    if run.features is not None:
        return StoredTrunk(backbone, settings, run.features).test_features(test)
    return split_features(backbone, test, settings, run)
