"""Run `hf-sslgen convert`, after its options have been parsed."""

from pathlib import Path

from hf_sslgen.commands.convert import ConvertArguments
from hf_sslgen.commands.run_zoo_convert import ORIGINALS, preflighted
from hf_sslgen.errors import InputError, hinted
from hf_sslgen.hub.conversion_card import write_conversion_card
from hf_sslgen.hub.converted_card import is_timm_checkpoint, write_converted_card
from hf_sslgen.output_folder import require_output_folder
from hf_sslgen.zoo.backbone_registry import Backbone, find_backbone, known_backbone_ids
from hf_sslgen.zoo.conversion.bulk_conversion import remove_download
from hf_sslgen.zoo.conversion.convert_file import convert_checkpoint
from hf_sslgen.zoo.conversion.download import fetch_published_file
from hf_sslgen.zoo.converted_rows import CONVERTED_FILES, converted_folder
from hf_sslgen.zoo.timm_folder import WEIGHTS_FILE
from hf_sslgen.zoo.to_safetensors import convert_folder

ADDRESSES = ("http://", "https://")


def run_convert(arguments: ConvertArguments) -> None:
    """Convert, write the card and print the paths of both."""
    given = Path(arguments.checkpoint)
    if given.is_dir():
        _convert_in_place(given, arguments)
    else:
        _convert_published(arguments)


def _convert_in_place(folder: Path, arguments: ConvertArguments) -> None:
    """Convert the pickled weights of a folder that states its architecture."""
    asked = [name for name in ("output_dir", "normalization", "padding") if vars(arguments)[name] is not None]
    if arguments.layout != "auto":
        asked.append("layout")
    if asked:
        raise InputError(
            f"{asked[0]} does not apply to {str(folder)!r}, a folder, which is converted in place; give a file of "
            "weights, or drop the option"
        )
    is_timm = is_timm_checkpoint(folder)
    require_output_folder(folder, argument="folder")
    weights = convert_folder(folder)
    print(weights)
    print(write_converted_card(folder, weights, is_timm, arguments.source, arguments.license))


def _convert_published(arguments: ConvertArguments) -> None:
    """Convert one published file, fetching it first if it is elsewhere, and look at the network without labels."""
    row = find_backbone(arguments.checkpoint)
    if row is not None and not row.needs_conversion:
        raise InputError(f"{row.id!r} needs no conversion; use it directly")
    folder = _output_folder(arguments, row)
    downloads = folder.parent / ORIGINALS
    path, url = _fetched(arguments.checkpoint, row, downloads)
    converted = convert_checkpoint(
        path,
        folder,
        row=row,
        layout=None if arguments.layout == "auto" else arguments.layout,
        source=arguments.source or url,
        licence=arguments.license,
        normalization=arguments.normalization,
        padding=arguments.padding,
        write_card=write_conversion_card,
    )
    if url is not None and path.is_relative_to(downloads):
        remove_download(path, folder.parent)
    network = converted.network
    print(
        f"{network.architecture} in layout {network.layout}, {network.num_tensors} tensors; input "
        f"{converted.normalization}{' (assumed)' if converted.assumed_normalization else ''}, padding "
        f"{converted.padding_words}; {len(network.dropped)} other entries dropped"
    )
    print(folder / WEIGHTS_FILE)
    print(folder / "README.md", flush=True)
    remarks = preflighted(folder)
    if remarks:
        print(f"preflight: {remarks}")


def _output_folder(arguments: ConvertArguments, row: Backbone | None) -> Path:
    if arguments.output_dir is not None:
        return require_output_folder(arguments.output_dir, CONVERTED_FILES)
    if row is None:
        raise InputError("output_dir is missing; give the folder to write as --output_dir")
    return require_output_folder(converted_folder(row), CONVERTED_FILES)


def _fetched(checkpoint: str, row: Backbone | None, downloads: Path) -> tuple[Path, str | None]:
    """Return the published file and its address, if it has one.

    Raises:
        InputError: there is no such file.
    """
    if row is not None:
        if row.url is None:
            raise InputError(f"the file of {row.id!r} has no known address ({row.note}); give the file itself")
        return fetch_published_file(row.url, downloads, row.checksum, row.file_size), row.url
    if checkpoint.startswith(ADDRESSES):
        return fetch_published_file(checkpoint, downloads), checkpoint
    path = Path(checkpoint)
    if not path.exists():
        unknown = f"checkpoint {checkpoint!r} is neither a file or folder nor a URL nor a backbone of `hf-sslgen zoo`"
        raise InputError(hinted(unknown, checkpoint, known_backbone_ids()))
    return path, None
