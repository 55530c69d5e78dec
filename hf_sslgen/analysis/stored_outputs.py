"""Outputs of a frozen trunk, read from a feature store, which computes what it lacks.

A classifier on a frozen trunk needs no pass of its own: its logits follow from the features, and its maps from what
`network_tail` keeps of the images that are attributed. Numbers differ from those computed directly by rounding only
(float32: about 1e-6 of the largest feature). For one number of threads the rows themselves are the same bits whoever
computes them and in which batches, except in very small batches, which are therefore filled up.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property, partial
from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_sslgen.analysis.analysis_settings import AnalysisSettings, Compute
from hf_sslgen.analysis.batch_pass import GRAD_CAM
from hf_sslgen.analysis.batches import Batches
from hf_sslgen.analysis.decoded_pictures import decoded_ahead
from hf_sslgen.analysis.feature_store import FeatureStore, Request, Rows
from hf_sslgen.analysis.grad_cam import are_spatial_means, grad_cam, linear_head_grad_cam
from hf_sslgen.analysis.network import Network, measuring
from hf_sslgen.analysis.network_tail import ACTIVATIONS, Tail, find_tail
from hf_sslgen.analysis.subset import analysis_subset
from hf_sslgen.analysis.trunk_passes import count_passes
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.errors import InputError
from hf_sslgen.zoo.anatomy import AttributionLayer, find_attribution_layer, find_classifier
from hf_sslgen.zoo.backbone_loading import LoadedBackbone

DEFINITIONS = 1
"""Version of what the columns mean; a change makes stored features obsolete."""

LIBRARIES = ("torch", "timm", "transformers", "pillow")
"""Libraries that decode pictures and run networks; another version may round differently."""

CLASSIFIER_SETTINGS = ("_name_or_path", "id2label", "label2id", "num_labels", "num_classes", "label_names")
"""Entries of a network's configuration that say nothing about its trunk."""

BLOCK_IMAGES = 256
"""Number of images computed and stored together."""

MIN_BATCH = 8
"""Smallest batch. For fewer images, matrix products take other paths and round differently: seen for one image in
ResNets and for up to three in vision transformers."""

FEATURES = "features"


def table_name(backbone: LoadedBackbone, split: ImageSplit, layer: AttributionLayer | None, compute: Compute) -> str:
    """Hash all that a trunk's outputs depend on, besides the picture's file, to thirty-two hexadecimal digits."""
    config = json.loads(backbone.model.config.to_json_string(use_diff=False))
    facts = {
        "definitions": DEFINITIONS,
        "config": {key: value for key, value in config.items() if key not in CLASSIFIER_SETTINGS},
        "preprocessing": dataclasses.asdict(backbone.preprocessing),
        "intensity": str(split.intensity),
        "layer": None if layer is None else dataclasses.asdict(layer),
        "compute": dataclasses.asdict(compute),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    digest = hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16)
    classifier = f"{find_classifier(backbone.model)[0]}."
    for name, tensor in backbone.model.state_dict().items():
        if not name.startswith(classifier):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _blocks(split: ImageSplit) -> NDArray[np.int64]:
    """Number the block in which each image is computed.

    Blocks are ranges of the published split, so that processes whose splits differ by the seed divide the work; parts
    of it that are too sparse for that are numbered by themselves.
    """
    is_dense = 2 * len(split) > len(split.dataset)
    return (split.sample_ids if is_dense else np.arange(len(split))) // BLOCK_IMAGES


class StoredTrunk:
    """A backbone's trunk, with its outputs in a store.

    Args:
        backbone: its classifier is not used.
    """

    def __init__(self, backbone: LoadedBackbone, settings: AnalysisSettings, store: FeatureStore) -> None:
        self.backbone, self.settings, self.store = backbone, settings, store
        self.batches = Batches(settings.batch_size)
        self.tables: dict[str, str] = {}

    @cached_property
    def layer(self) -> AttributionLayer | None:
        """The layer that Grad-CAM attributes; None for other methods, or if the network has none."""
        if self.settings.attribution_method != GRAD_CAM:
            return None
        try:
            return find_attribution_layer(self.backbone.model, self.settings.attribution_layer)
        except InputError:  # an error only for those who want maps, and they find it themselves
            return None

    def _table(self, split: ImageSplit) -> str:
        intensity = str(split.intensity)
        if intensity not in self.tables:
            self.tables[intensity] = table_name(self.backbone, split, self.layer, self.settings.compute)
        return self.tables[intensity]

    @cached_property
    def tail(self) -> str | None:
        """Name of the column from which maps are made; None if they can't be made from stored outputs."""
        if self.layer is None:
            return None
        try:
            with self._network() as network:
                found = find_tail(network, self.layer, self.settings.compute.compile)
        except InputError:  # as above
            return None
        return None if found is None else found.column

    def _network(self) -> AbstractContextManager[Network]:
        return measuring(self.backbone, self.settings.compute, self.layer)

    def _rows(self, split: ImageSplit, columns: tuple[str, ...]) -> Iterator[Rows]:
        """Yield stored rows of a split's images, and compute the missing ones."""
        with ExitStack() as stack:
            networks: list[Network] = []

            def compute(positions: NDArray[np.int64]) -> dict[str, Tensor]:
                if not networks:
                    networks.append(stack.enter_context(self._network()))
                return self._computed(networks[0], split.select(positions), columns)

            yield from self.store.rows(
                Request(
                    self._table(split),
                    split.picture_digests(),
                    _blocks(split),
                    f"{split.name} {len(split.dataset)}",
                    columns,
                    compute,
                    f"{self.backbone.name}: {split.name}",
                )
            )

    def _computed(self, network: Network, split: ImageSplit, columns: tuple[str, ...]) -> dict[str, Tensor]:
        found: list[dict[str, Tensor]] = []
        geometry = self.backbone.preprocessing.geometry
        for pixels in decoded_ahead(split, geometry, self.settings.batch_size, keep=True):
            found += self.batches.map(slice(0, len(pixels)), partial(self._outputs, network, pixels, columns))
        return {name: torch.cat([batch[name] for batch in found]) for name in found[0]}

    def _outputs(self, network: Network, batch: Tensor, columns: tuple[str, ...], part: slice) -> dict[str, Tensor]:
        pixels = batch[part]
        several = pixels if len(pixels) >= MIN_BATCH else pixels[torch.arange(MIN_BATCH) % len(pixels)]
        count_passes(len(pixels))
        if len(columns) > 1:
            outputs = Tail(network, columns[1]).outputs(several, counted=False)
        else:
            with torch.inference_mode():
                outputs = {FEATURES: network.run(network.inputs(several), counted=False).features}
        return {name: tensor[: len(pixels)].cpu().clone() for name, tensor in outputs.items()}

    def features(self, split: ImageSplit) -> NDArray[np.float32]:
        """Return the features (N, D) of a split's images, the classifier's input, in its order."""
        found: NDArray[np.float32] | None = None
        for positions, rows in self._rows(split, (FEATURES,)):
            if found is None:
                found = np.empty((len(split), rows[FEATURES].shape[1]), dtype=np.float32)
            found[positions] = rows[FEATURES].numpy()
        return np.empty((0, 0), dtype=np.float32) if found is None else found

    def attributed_features(self, subset: ImageSplit) -> NDArray[np.float32]:
        """Return the features (n, D) of images to attribute; what maps need of them is stored as well."""
        if self.tail is not None:
            for _ in self._rows(subset, (FEATURES, self.tail)):
                pass
        return self.features(subset)

    def test_features(self, test: ImageSplit) -> NDArray[np.float32]:
        """Return the features (N, D) of the test images; what maps need of the attributed ones is stored as well."""
        self.attributed_features(analysis_subset(test, self.settings))
        return self.features(test)

    def logits(self, test: ImageSplit) -> NDArray[np.float32]:
        """Return the logits (N, C) of the backbone's classifier for the test images."""
        classifier = find_classifier(self.backbone.model)[1]
        features = torch.from_numpy(self.test_features(test)).to(classifier.weight.device)
        with torch.inference_mode():
            logits: NDArray[np.float32] = classifier(features).cpu().numpy()
        return logits

    def maps(self, subset: ImageSplit, classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return Grad-CAM maps (n, h, w) of the evidence of the backbone's classifier for a class (n,) of each image.

        `tail` must not be None.
        """
        assert self.tail is not None
        weight = find_classifier(self.backbone.model)[1].weight.detach().cpu()
        found: NDArray[np.float32] | None = None
        with ExitStack() as stack:
            tails: list[Tail] = []
            for positions, rows in self._rows(subset, (FEATURES, self.tail)):
                wanted = torch.from_numpy(classes[positions])
                if self.tail == ACTIVATIONS:
                    assert are_spatial_means(rows[FEATURES], rows[ACTIVATIONS])
                    maps = linear_head_grad_cam(rows[ACTIVATIONS], weight, wanted, self.settings.target)
                else:
                    if not tails:
                        tails.append(Tail(stack.enter_context(self._network()), self.tail))
                    maps = self._tail_maps(tails[0], rows[self.tail], wanted, weight)
                if found is None:
                    found = np.empty((len(subset), *maps.shape[1:]), dtype=np.float32)
                found[positions] = maps.numpy()
        assert found is not None
        return found

    def _tail_maps(self, tail: Tail, tokens: Tensor, classes: Tensor, weight: Tensor) -> Tensor:
        device = tail.network.device

        def of_part(part: slice) -> Tensor:
            activations, features, _ = tail.from_block_input(tokens[part].to(device))
            of_classifier = weight.to(features)
            with torch.enable_grad():
                logits = features @ of_classifier.T
            wanted = classes[part].to(device)
            return grad_cam(activations, features, logits, of_classifier, wanted, self.settings.target).cpu()

        return torch.cat(self.batches.map(slice(0, len(tokens)), of_part))
