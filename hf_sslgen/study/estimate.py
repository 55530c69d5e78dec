"""The cost of a study in cells, time and disk space, estimated before anything is computed."""

import time
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import torch

from hf_sslgen.analysis.attribution import LABEL_FREE_METHODS
from hf_sslgen.analysis.network import place
from hf_sslgen.analysis.transforms import preset_variants
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.published_images import without_draws
from hf_sslgen.domains.sources import registered_entry
from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.study.cells.cell_folder import Cell, stored_folders
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.execution.workbench import backbone_facts, domain_at_hand
from hf_sslgen.study.finished_cells import readable_cells
from hf_sslgen.study.pace import duration_words
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.protocols.presets import FewShotProtocol, FineTuningProtocol
from hf_sslgen.zoo.backbone_loading import load_backbone
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
    """The cost of one cell: seconds (None while its domain's size is unknown), bytes kept and temporary bytes."""

    seconds: float | None
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
    labelled = entry.expected_sizes[entry.train_split] * (spec.domain.label_fraction or 1)
    test = entry.expected_sizes.get(entry.test_split or "", 0)
    validation = entry.expected_sizes.get(entry.validation_split or "", round(spec.domain.train_val_split * labelled))
    return Sizes(round(labelled), validation, test)


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


def seconds_per_image(location: str, seed: int, geometry: Geometry | None, batch_size: int) -> float:
    """Return the time of a forward pass per image, from timing two batches."""
    backbone = load_backbone(location, ("first", "second"), seed=seed, geometry=geometry, match="none")
    place(backbone)
    side = backbone.preprocessing.geometry.image_size
    pixels = torch.zeros(batch_size, 3, side, side, device=backbone.model.device)
    with torch.inference_mode():
        backbone.model(pixel_values=pixels)  # the first pass also prepares kernels
        started = time.perf_counter()
        backbone.model(pixel_values=pixels).logits.cpu()
    return (time.perf_counter() - started) / batch_size


def estimate_cell(
    spec: CellSpec, finished: Sequence[Cell], per_image: float, stored: dict[Hashable, int] | None = None
) -> Estimate:
    """Estimate from finished cells with the same domain, protocol and labels if possible, else by counting passes.

    Args:
        stored: for each `pass_of`, the number of images whose features earlier cells of the plan have stored; it is
            brought up to date. None: nothing is stored.
    """
    parameters = backbone_facts(spec.backbone.location, spec.seed, spec.geometry).num_parameters
    scratch = 2 * 4 * parameters if isinstance(spec.protocol, FineTuningProtocol) else 0
    alike = [
        cell
        for cell in finished
        if (cell.domain, cell.protocol, cell.labels) == (spec.domain_name, spec.protocol_name, spec.labels)
    ]
    if alike:
        kept = [sum(path.stat().st_size for path in cell.folder.iterdir()) for cell in alike]
        return Estimate(mean(cell.provenance["seconds"] for cell in alike), round(mean(kept)), scratch)
    sizes = domain_sizes(spec)
    if sizes is None:
        return Estimate(None, 0, scratch)
    rows = sizes.test
    if spec.protocol is None or isinstance(spec.protocol, FineTuningProtocol):
        rows += min(sizes.test, spec.analysis.max_subset) * len(preset_variants(spec.analysis.transforms, gray=False))
    side = backbone_facts(spec.backbone.location, spec.seed, spec.geometry).preprocessing.geometry.image_size
    examples = 0 if spec.protocol is None else spec.analysis.num_examples * 3 * side**2
    passes = image_passes(spec, sizes)
    if stored is not None:
        images, before = shared_images(spec, sizes), stored.get(pass_of(spec), 0)
        stored[pass_of(spec)] = max(images, before)
        passes -= min(images, before)
    pictures = 0 if isinstance(spec.protocol, FewShotProtocol) else PICTURE_BYTES
    return Estimate(passes * per_image, rows * RECORD_BYTES + examples + pictures, scratch)


def dry_run_text(specs: Sequence[CellSpec], store: Store, repeated: Collection[CellSpec] = ()) -> str:
    """Return a table of the cells by domain and protocol with their time and disk space.

    The backbones are downloaded and timed; nothing else is downloaded or written.

    Args:
        repeated: cells that will share another's result, so they need no computing.
    """
    finished, _ = readable_cells(stored_folders(store.cells))
    timings: dict[str, float] = {}
    rows: dict[tuple[str, str, str], list[Estimate | None]] = {}
    stored: dict[Hashable, int] = {}
    for spec in specs:
        estimate = None
        if spec not in repeated and not store.is_finished(spec):
            location = spec.backbone.location
            if location not in timings:
                timings[location] = seconds_per_image(location, spec.seed, spec.geometry, spec.analysis.batch_size)
            estimate = estimate_cell(spec, finished, timings[location], stored)
        rows.setdefault((spec.domain_name, spec.protocol_name, spec.labels), []).append(estimate)
    lines = [f"{'domain':24}  {'protocol':28}  {'labels':>8}  {'cells':>6}  {'to do':>6}  {'time':>9}  {'disk':>9}"]
    every: list[Estimate | None] = []
    for (domain, protocol, labels), estimates in rows.items():
        lines.append(_line(domain, protocol, labels, estimates))
        every += estimates
    lines.append(_line("all", "", "", every))
    scratch = max((each.scratch_bytes for each in every if each is not None), default=0)
    lines.append(f"Each worker needs up to {_bytes(scratch)} more while it fine-tunes a cell.")
    if any(each is not None and each.seconds is None for each in every):
        lines.append("`?`: the size of the domain is not known until it is loaded.")
    lines.append("Times are for one worker, from finished cells if there are any, otherwise from counting images.")
    return "\n".join(lines)


def _line(domain: str, protocol: str, labels: str, estimates: Sequence[Estimate | None]) -> str:
    left = [each for each in estimates if each is not None]
    known = [each.seconds for each in left if each.seconds is not None]
    seconds = "?" if left and not known else f"{'>' if len(known) < len(left) else ''}{duration_words(sum(known))}"
    disk = _bytes(sum(each.kept_bytes for each in left))
    return f"{domain:24}  {protocol:28}  {labels:>8}  {len(estimates):6}  {len(left):6}  {seconds:>9}  {disk:>9}"


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"
