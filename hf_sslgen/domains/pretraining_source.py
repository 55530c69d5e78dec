"""Source images for pretraining a twin: the whole training split, and another split for evaluation."""

from dataclasses import dataclass, fields, replace

from hf_sslgen.domains.depth import dataset_intensity, look_at
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_names import domain_name
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.sources import load_splits, registered_entry
from hf_sslgen.domains.split_reading import read_split, read_table
from hf_sslgen.domains.split_roles import split_names
from hf_sslgen.domains.taken import Taken
from hf_sslgen.domains.taken_counts import taken
from hf_sslgen.errors import InputError

UNUSED = (
    "box_column_name",
    "mask_column_name",
    "pair_column_name",
    "group_column_name",
    "group",
    "train_val_split",
    "split_seed",
    "test_seed",
    "label_fraction",
    "samples_per_class",
    "max_train_samples",
    "max_eval_samples",
    "max_test_samples",
    "shuffle_buffer_size",
)
"""Domain options that have no effect on a source of images."""


@dataclass(frozen=True, eq=False)
class PretrainingSource:
    """Images to pretrain on; `held_out` is the published validation or test split, used for k-NN."""

    name: str
    class_names: tuple[str, ...]
    train: ImageSplit
    held_out: ImageSplit
    taken: Taken


def load_pretraining_source(arguments: DomainArguments) -> PretrainingSource:
    """Load a source without carving anything off its training split.

    Raises:
        InputError: as `load_domain`; or the source is streamed, or has only a training split.
    """
    for option in fields(arguments):
        if option.name in UNUSED and vars(arguments)[option.name] != option.default:
            raise InputError(f"{option.name} has no effect in pretraining, which uses all training images; drop it")
    if arguments.streaming:
        raise InputError("pretraining reads the images in its own order; drop --streaming")
    entry = registered_entry(arguments) if arguments.registered_as is None else None
    loaded = load_splits(arguments, entry)
    train_name, validation_name, test_name = split_names(arguments, entry, list(loaded.splits))
    held_out_name = validation_name or test_name
    if held_out_name is None:
        raise InputError(
            f"{arguments.dataset_name!r} has no validation or test split for k-NN; name one with --test_split_name"
        )
    table = read_table(loaded, train_name, arguments, entry)
    notes: list[str] = []
    train, held_out = (read_split(loaded, name, table, arguments, notes) for name in (train_name, held_out_name))
    intensity = dataset_intensity(train, arguments, notes)
    train, held_out = (replace(split, intensity=intensity) for split in (train, held_out))
    for split in (train, held_out):
        look_at(split, notes)
    splits = {"train": train, "validation" if validation_name else "test": held_out}
    return PretrainingSource(
        domain_name(arguments),
        table.encoding.class_names,
        train,
        held_out,
        taken(arguments, loaded, table.columns, table.encoding.class_names, splits, notes),
    )
