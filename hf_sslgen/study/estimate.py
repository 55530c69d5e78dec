"""The cost of a study in cells, time and disk space, estimated before anything is computed."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from hf_sslgen.analysis.attribution import LABEL_FREE_METHODS
from hf_sslgen.analysis.transforms import preset_variants
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.published_images import without_draws
from hf_sslgen.domains.sources import registered_entry
from hf_sslgen.errors import InputError
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.execution.workbench import domain_at_hand
from hf_sslgen.study.network_cost import NetworkCost
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.protocols.presets import FewShotProtocol, FineTuningProtocol
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX
from hf_sslgen.zoo.reinitialised import CASCADE

TRAINING_PASSES = 3.0
"""A training step costs about as much as three forward passes of its images."""

METHOD_PASSES = {"grad_cam": 0, "gradient_x_activation": 1, "integrated_gradients": 52, "occlusion": 51}
"""Forward passes in addition to the one that yields everything else; occlusion's value is for a 7 x 7 grid, and larger
grids take more."""

RECORD_BYTES = 40
"""A row of `records.parquet`, compressed; measured on finished cells of several domains."""


PICTURE_BYTES = 50_000
"""Small pictures of a cell's images, of photographs; cells of one domain share many, so this is an upper estimate."""


@dataclass(frozen=True)
class Sizes:
    """Images in each split."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class Estimate:
    """The cost of one cell.

    Attributes:
        seconds: on this machine; None if the size of its domain, or its network, is unknown.
        flops: floating-point operations of the network; None likewise.
        kept_bytes, scratch_bytes: disk space afterwards, and more while it is computed.
    """

    seconds: float | None
    flops: float | None
    kept_bytes: int
    scratch_bytes: int


def is_at_hand(spec: CellSpec) -> bool:
    """Whether a domain can be loaded from this machine alone."""
    entry = registered_entry(spec.domain)
    return Path(spec.domain.dataset_name).exists() or (entry is not None and entry.format == "embedded")


def domain_sizes(spec: CellSpec) -> Sizes | None:
    """Return the images in each split, counted on disk or expected by the registry; nothing is downloaded."""
    if is_at_hand(spec):
        try:
            domain = domain_at_hand(spec.domain)
        except InputError:  # which is told of the cell
            return None
        train = len(domain.train) if isinstance(domain.train, ImageSplit) else 0
        return Sizes(train, len(domain.validation), len(domain.test))
    return registered_sizes(spec)


def registered_sizes(spec: CellSpec) -> Sizes | None:
    """Return the images in each split as the registry expects them; None if it does not know."""
    entry = registered_entry(spec.domain)
    if entry is None or entry.train_split is None or entry.train_split not in entry.expected_sizes:
        return None
    asked = spec.domain
    published: float = entry.expected_sizes[entry.train_split]
    test = entry.expected_sizes.get(entry.test_split or "", 0)
    if entry.test_split is None:  # carved from the only split
        test = round(asked.train_val_split * published)
        published -= test
    labelled = published * (asked.label_fraction or 1)
    validation = entry.expected_sizes.get(entry.validation_split or "", round(asked.train_val_split * labelled))
    if asked.samples_per_class is not None:
        labelled = min(labelled, asked.samples_per_class * entry.num_classes)
    return Sizes(
        _at_most(round(labelled), asked.max_train_samples),
        _at_most(validation, asked.max_eval_samples),
        _at_most(test, asked.max_test_samples),
    )


def _at_most(count: int, limit: int | None) -> int:
    return count if limit is None else min(count, limit)


def image_passes(spec: CellSpec, sizes: Sizes) -> float:
    """Return the forward passes that a cell takes; a training step counts as `TRAINING_PASSES` per image."""
    protocol, analysis = spec.protocol, spec.analysis
    subset = min(sizes.test, analysis.max_subset)
    variants = len(preset_variants(analysis.transforms, gray=False))
    of_method = METHOD_PASSES[analysis.attribution_method]
    num_controls = analysis.reinitialised_control * (1 + len(CASCADE) * analysis.randomisation_cascade)
    attribution = of_method + num_controls * (1 + of_method)
    if protocol is None:
        is_attributed = analysis.attribution_method in LABEL_FREE_METHODS
        return subset * (1 + variants + is_attributed * attribution)
    if isinstance(protocol, FewShotProtocol):
        return sizes.test
    if not isinstance(protocol, FineTuningProtocol):
        return sizes.train + sizes.validation + sizes.test + subset * attribution
    train = min(sizes.train, protocol.train_images or sizes.train)
    seen = protocol.max_steps * protocol.batch_size if protocol.max_steps else protocol.num_train_epochs * train
    runs = len(protocol.learning_rates) * len(protocol.weight_decays) + protocol.retrain_on_validation
    return (
        runs * (TRAINING_PASSES * seen + sizes.validation)
        + sizes.validation
        + sizes.test
        + subset * (variants + attribution)
    )


def shared_images(spec: CellSpec, sizes: Sizes) -> int:
    """Return how many of a cell's images pass a frozen trunk, whose outputs are stored for other cells."""
    if spec.protocol is None:
        return min(sizes.test, spec.analysis.max_subset)
    if isinstance(spec.protocol, FineTuningProtocol):
        return 0
    return sizes.test if isinstance(spec.protocol, FewShotProtocol) else sizes.train + sizes.validation + sizes.test


def pass_of(spec: CellSpec) -> Hashable:
    """Return what cells have in common that read the same stored features; fine-tuning shares nothing."""
    if isinstance(spec.protocol, FineTuningProtocol):
        return spec
    location = spec.backbone.location
    seed = spec.seed if location.startswith(UNTRAINED_PREFIX) else None
    resize = "as_given" if spec.protocol is None else spec.protocol.resize
    return location, seed, without_draws(spec.domain), spec.geometry, resize


def estimate_cell(
    spec: CellSpec, finished: Sequence[Cell], cost: NetworkCost, stored: dict[Hashable, int] | None = None
) -> Estimate:
    """Estimate from finished cells with the same domain, protocol and labels if possible, else by counting passes.

    Operations are always counted.

    Args:
        cost: of the backbone's forward pass.
        stored: for each `pass_of`, the number of images whose features earlier cells of the plan have stored; it is
            brought up to date. None: nothing is stored.
    """
    scratch = 2 * 4 * cost.parameters if isinstance(spec.protocol, FineTuningProtocol) else 0
    sizes = domain_sizes(spec)
    passes = None if sizes is None else _passes(spec, sizes, stored)
    flops = None if passes is None or cost.flops is None else passes * cost.flops
    alike = [
        cell
        for cell in finished
        if (cell.domain, cell.protocol, cell.labels) == (spec.domain_name, spec.protocol_name, spec.labels)
    ]
    if alike:
        kept = [sum(path.stat().st_size for path in cell.folder.iterdir()) for cell in alike]
        return Estimate(mean(cell.provenance["seconds"] for cell in alike), flops, round(mean(kept)), scratch)
    if sizes is None or passes is None:
        return Estimate(None, None, 0, scratch)
    rows = sizes.test
    if spec.protocol is None or isinstance(spec.protocol, FineTuningProtocol):
        rows += min(sizes.test, spec.analysis.max_subset) * len(preset_variants(spec.analysis.transforms, gray=False))
    examples = 0 if spec.protocol is None else spec.analysis.num_examples * 3 * cost.image_size**2
    pictures = 0 if isinstance(spec.protocol, FewShotProtocol) else PICTURE_BYTES
    seconds = None if cost.seconds is None else passes * cost.seconds
    return Estimate(seconds, flops, rows * RECORD_BYTES + examples + pictures, scratch)


def _passes(spec: CellSpec, sizes: Sizes, stored: dict[Hashable, int] | None) -> float:
    """Return a cell's forward passes without those whose features earlier cells have stored; see `estimate_cell`."""
    passes = image_passes(spec, sizes)
    if stored is not None:
        images, before = shared_images(spec, sizes), stored.get(pass_of(spec), 0)
        stored[pass_of(spec)] = max(images, before)
        passes -= min(images, before)
    return passes
