"""The listing of registered backbones: a line for each, by twin set, or everything known of one."""

from collections.abc import Iterable, Sequence

from hf_sslgen.commands.listings import UNVERIFIED, details
from hf_sslgen.errors import InputError, hinted
from hf_sslgen.zoo.backbone_registry import (
    Backbone,
    TwinSet,
    excluded_backbones,
    find_backbone,
    known_backbone_ids,
    twin_sets,
    unmatched_backbones,
)
from hf_sslgen.zoo.converted_rows import converted_folder, is_converted

LEGEND = """\
Columns: name, objective, parameters, epochs of pretraining, published linear accuracy on ImageNet-1k, licence.
needs conversion: run `hf-sslgen zoo convert NAME`; without an address, `hf-sslgen zoo NAME` names the file to find.
unverified: `hf-sslgen zoo NAME` says what was not checked."""


def print_listing(name: str | None) -> None:
    """Print every twin set, or one set or backbone.

    Raises:
        InputError: the name is neither a twin set nor a backbone.
    """
    sets = twin_sets()
    row = find_backbone(name) if name is not None else None
    if row is not None:
        print(_backbone_text(row))
        return
    if name is not None and name not in sets:
        raise InputError(hinted(f"{name!r} is not a twin set or backbone", name, [*sets, *known_backbone_ids()]))
    for twin_set in sets.values() if name is None else [sets[name]]:
        print(_set_text(twin_set), end="\n\n")
    if name is None:
        print("Backbones without a twin trained on the same data (any comparison with them is confounded):")
        print(_table(unmatched_backbones()), end="\n\n")
        print("Backbones that are not purely self-supervised, whatever their name suggests:")
        print("\n".join(f"  {pattern}: {reason}" for pattern, reason in excluded_backbones().items()), end="\n\n")
    print(LEGEND)


def _set_text(twin_set: TwinSet) -> str:
    to_convert = [backbone for backbone in twin_set.backbones if backbone.needs_conversion]
    converted = sum(map(is_converted, to_convert))
    counts = f"{len(twin_set.supervised)} supervised, {len(twin_set.self_supervised)} self-supervised"
    if to_convert:
        counts += f"; {converted} of {len(to_convert)} converted"
    return (
        f"{twin_set.name}: {twin_set.description} ({twin_set.source_data}, {twin_set.image_size} px; {counts})\n"
        + _table(twin_set.backbones)
    )


def _table(rows: Sequence[Backbone]) -> str:
    width = max(len(row.id) for row in rows)
    objective = max(len(row.objective) for row in rows)
    return "\n".join(_line(row, width, objective) for row in rows)


def _line(row: Backbone, width: int, objective: int) -> str:
    size = f"{row.parameters / 1e6:.1f}M" if row.parameters else "?"
    epochs = f"{row.epochs} ep" if row.epochs else "?"
    linear = next((f"{each.top1:.1f}%" for each in row.published if each.measure == "linear"), "?")
    marks = "".join(f"  {mark}" for mark in _marks(row)) + ("" if row.verified else UNVERIFIED)
    return (
        f"  {row.id:{width}}  {row.objective:{objective}} {size:>7} {epochs:>7} {linear:>6}  "
        f"{row.licence or 'licence not stated'}{marks}"
    )


def _marks(row: Backbone) -> Iterable[str]:
    if row.needs_conversion:
        yield "converted" if is_converted(row) else "needs conversion"
    if not row.exact_twin and row.twin_set is not None:
        yield "near twin"
    if row.same_weights_as is not None:
        yield f"weights of {row.same_weights_as}"


def _backbone_text(row: Backbone) -> str:
    text = details(row)
    if row.needs_conversion:
        state = converted_folder(row) if is_converted(row) else "not yet"
        text += f"\n{'converted':22} {state}"
    return text
