"""Arguments that describe a target domain."""

from dataclasses import dataclass, field
from typing import Any

from hf_sslgen.domains.words import BoxFormat, Group
from hf_sslgen.errors import InputError
from hf_sslgen.intensity import DATASET_RANGE, read_intensity
from hf_sslgen.settings import AT_LEAST_ONE, NOT_NEGATIVE, SEED, SHARE, Range, check_fields, part_of, setting


@dataclass(frozen=True)
class DomainArguments:
    """A target domain: its images, columns and splits. Options are named as in transformers' examples."""

    dataset_name: str = field(
        metadata={
            "help": "A name from `hf-sslgen domains`, a dataset id on the Hub, a local folder (imagefolder layout, "
            "parquet, Arrow or WebDataset files, or the output of `save_to_disk`) or a single such file."
        }
    )
    domain_name: str | None = field(
        default=None,
        metadata={"help": "The domain's name in results (default: registered name, folder name or Hub id)."},
    )
    dataset_config_name: str | None = field(default=None, metadata={"help": "Configuration of the dataset."})
    dataset_revision: str | None = field(
        default=None,
        metadata={"help": "Branch, tag or commit on the Hub; resolved once, to one commit for all splits."},
    )
    image_column_name: str | None = field(
        default=None, metadata={"help": "Image column (default: detected if only one column fits)."}
    )
    label_column_name: str | None = field(
        default=None,
        metadata={
            "help": "Label column, or a field within a column (`json.label`) (default: detected if only one fits)."
        },
    )
    box_column_name: str | None = field(
        default=None,
        metadata={
            "help": "Column of object boxes, in pixels of the stored picture: one box of four numbers per image, or a "
            "list of boxes."
        },
    )
    box_format: BoxFormat = field(
        default="xyxy", metadata={"help": "Box coordinates: x0, y0, x1, y1, or x, y, width, height (as in COCO)."}
    )
    mask_column_name: str | None = field(
        default=None,
        metadata={
            "help": "Column of object masks, each the size of its picture: pictures or 2-D arrays, nonzero on the "
            "object."
        },
    )
    pair_column_name: str | None = field(
        default=None,
        metadata={
            "help": "Column that identifies the object, burst or patient: images with equal values show the same one."
        },
    )
    group_column_name: str | None = field(
        default=None,
        metadata={
            "help": "Column that identifies the patient, photograph or burst of an image: carving keeps each of these "
            "groups together, and intervals are over groups instead of images (default: known for registered "
            "domains)."
        },
    )
    train_split_name: str | None = field(default=None, metadata={"help": "Split to train on (default: train)."})
    validation_split_name: str | None = field(
        default=None,
        metadata={"help": "Split to select on (default: validation, else carved from the training split)."},
    )
    test_split_name: str | None = field(
        default=None, metadata={"help": "Split to measure on (default: test, else validation)."}
    )
    registered_as: str | None = field(
        default=None,
        metadata={
            "help": "Registered domain of which this is a local copy, mirror or subset; its columns, group, metric "
            "and label-preserving transforms apply."
        },
    )
    group: Group | None = field(
        default=None,
        metadata={"help": "`similar` to or `different` from the source data (default: known for registered domains)."},
    )
    train_val_split: float = setting(
        0.2,
        range=Range(above=0, below=1),
        help="Share of the training split to carve off for validation if there is no validation split.",
    )
    split_seed: int = setting(0, range=SEED, help="Seed for carving validation and drawing the subsets below.")
    test_seed: int | None = setting(
        None,
        range=SEED,
        help="Separate seed for choosing test images, so that runs with other splits measure on the same ones.",
    )
    label_fraction: float | None = setting(
        None,
        range=SHARE,
        help="Share of the labels (0.01: one in a hundred) to use for training and selection together: a stratified "
        "subset of the training split, drawn before validation is carved, and of a published validation split.",
    )
    samples_per_class: int | None = setting(
        None, range=AT_LEAST_ONE, help="Train on this many images per class, drawn after validation is carved."
    )
    max_train_samples: int | None = setting(
        None, range=AT_LEAST_ONE, help="Train on at most this many images (stratified)."
    )
    max_eval_samples: int | None = setting(
        None, range=AT_LEAST_ONE, help="Validate on at most this many images (stratified)."
    )
    max_test_samples: int | None = setting(
        None, range=AT_LEAST_ONE, help="Measure on at most this many images (stratified)."
    )
    streaming: bool = field(
        default=False,
        metadata={
            "help": "Stream the training split instead of preparing it on disk; the other splits are kept in a "
            "temporary private folder. Needs --max_steps."
        },
    )
    shuffle_buffer_size: int = setting(
        1000,
        range=NOT_NEGATIVE,
        help="Number of undecoded images buffered to shuffle a stream; 0 keeps the stored order.",
    )
    intensity_range: str | None = field(
        default=None,
        metadata={
            "help": "Stored values to map to black and white: LOW,HIGH (`--intensity_range=-1000,3000`); `dataset` "
            "for the minimum and maximum over the training images; `image` for those of each image (default: the "
            "range that each file states)."
        },
    )
    skip_corrupt: bool = field(
        default=False,
        metadata={"help": "Skip and count images that can't be decoded, instead of stopping."},
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.box_format != "xyxy" and self.box_column_name is None:
            raise InputError("box_format applies to a column of boxes; name that column with --box_column_name")
        if self.label_fraction is not None and self.samples_per_class is not None:
            raise InputError("label_fraction and samples_per_class are both label budgets; give only one of them")
        if self.intensity_range not in (None, DATASET_RANGE):
            read_intensity(self.intensity_range)


SHARED = (
    "image_column_name",
    "label_column_name",
    "group_column_name",
    "label_fraction",
    "samples_per_class",
    "max_train_samples",
    "max_eval_samples",
    "max_test_samples",
    "intensity_range",
    "skip_corrupt",
)
SharedDomainArguments: Any = part_of(DomainArguments, "SharedDomainArguments", SHARED)
SharedDomainArguments.__doc__ = "What applies to all domains: columns, label budget, size, and how pictures are read."


def draws_labels(arguments: DomainArguments) -> bool:
    """Return whether training or validation images may be drawn from a published split, or all splits share a seed."""
    fewer = (arguments.samples_per_class, arguments.max_train_samples, arguments.max_eval_samples)
    return arguments.label_fraction not in (None, 1) or any(fewer) or arguments.test_seed is None


def label_budget_words(arguments: DomainArguments) -> str:
    """Name the label budget, such as "100%", "10%", "1%" or "5-shot", for identities and tables."""
    if arguments.samples_per_class is not None:
        budget = f"{arguments.samples_per_class}-shot"
    else:
        budget = f"{100 * (1 if arguments.label_fraction is None else arguments.label_fraction):g}%"
    if arguments.max_train_samples is not None:
        budget += f", at most {arguments.max_train_samples} images"
    return budget
