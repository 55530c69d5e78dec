"""Run `hf-sslgen zoo convert`, after its options have been parsed."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from hf_sslgen.analysis.preflight.backbone_preflight import preflight
from hf_sslgen.commands.zoo_convert import ZooConvertArguments
from hf_sslgen.errors import InputError
from hf_sslgen.hub.conversion_card import write_conversion_card
from hf_sslgen.output_folder import require_output_folder
from hf_sslgen.reporting.vocabulary import MISSING, format_seconds
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.backbone_registry import Backbone
from hf_sslgen.zoo.conversion.bulk_conversion import (
    BulkSettings,
    RowOutcome,
    bytes_to_write,
    chosen_rows,
    convert_rows,
)
from hf_sslgen.zoo.converted_rows import ZOO_VARIABLE, converted_root, holds_converted_files

ORIGINALS = "originals"
REASON_WIDTH = 100


def run_zoo_convert(arguments: ZooConvertArguments) -> None:
    """Convert the rows and print a table of what became of each.

    Raises:
        InputError: a name is unknown, or a row could not be converted.
    """
    rows = chosen_rows(arguments.names)
    root = converted_root() if arguments.output_dir is None else Path(arguments.output_dir)
    root = require_output_folder(root)
    originals = Path(arguments.originals_dir) if arguments.originals_dir is not None else root / ORIGINALS
    originals = require_output_folder(originals, argument="originals_dir")
    settings = BulkSettings(root, originals, arguments.keep_originals, write_conversion_card, preflighted)
    if arguments.dry_run:
        _print_plan(rows, settings)
        return
    outcomes = []
    for outcome in convert_rows(rows, settings):
        outcomes.append(outcome)
        print(f"[{len(outcomes)}/{len(rows)}] {outcome.row.id}: {outcome.result}", flush=True)
    print("\n" + "\n".join(_table(outcomes)))
    print(f"\nconverted backbones are in {root}")
    if root != converted_root():
        print(f"set {ZOO_VARIABLE}={root} for other commands to find them there by name")
    kept = [each for each in outcomes if each.result == "failed" and each.size is not None]
    if arguments.keep_originals or kept:
        print(f"downloaded files are in {originals}{'' if arguments.keep_originals else ' (of failed rows)'}")
    failed = [outcome.row.id for outcome in outcomes if outcome.result == "failed"]
    if failed:
        raise InputError(
            f"{len(failed)} of {len(rows)} backbones could not be converted; see the table, and run the same command "
            "again, which costs nothing for the others"
        )


def preflighted(folder: Path) -> str:
    """Look at a converted network without labels; returns what is remarkable.

    Raises:
        InputError: its numbers would be meaningless.
    """
    backbone = load_backbone(str(folder), ("first", "second"), match="none")
    report = preflight(backbone)
    said = "; ".join(finding.sentence for finding in report.findings)
    if report.wrong:
        raise InputError(f"preflight: {said}")
    return said


def _megabytes(size: int | None) -> str:
    return MISSING if size is None else f"{size / 1e6:,.1f} MB"


def _table(outcomes: Sequence[RowOutcome]) -> list[str]:
    width = max(len(outcome.row.id) for outcome in outcomes)
    lines = [f"{'backbone':{width}}  {'result':9}  {'file':>12}  {'time':>7}  reason"]
    for each in outcomes:
        seconds = MISSING if each.result in ("present", "left out") else format_seconds(each.seconds)
        first, *rest = textwrap.wrap(each.reason, REASON_WIDTH) or [""]
        lines.append(
            f"{each.row.id:{width}}  {each.result:9}  {_megabytes(each.size):>12}  {seconds:>7}  {first}".rstrip()
        )
        lines += [f"{'':{width + 36}}{line}" for line in rest]
    return lines


def _print_plan(rows: Sequence[Backbone], settings: BulkSettings) -> None:
    width = max(len(row.id) for row in rows)
    for row in rows:
        state = "present" if holds_converted_files(settings.folder(row)) else "to convert"
        place = row.url or f"no known address ({row.note})"
        print(f"{row.id:{width}}  {state:10}  {_megabytes(row.file_size):>12}  {place}")
    missing = [row for row in rows if not holds_converted_files(settings.folder(row))]
    unknown = sum(row.file_size is None for row in missing)
    sizes = f" and the files of unknown size ({unknown})" if unknown else ""
    needed = f"{bytes_to_write(rows, settings) / 1e9:.1f} GB of disk space{sizes}"
    print(f"\n{len(missing)} of {len(rows)} to convert into {settings.root}, which takes {needed}")
