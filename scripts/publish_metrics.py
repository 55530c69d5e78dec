"""Write the metrics as Spaces to a folder, or create and update them on the Hub.

    python scripts/publish_metrics.py --output_dir runs/spaces
    python scripts/publish_metrics.py --organization my-org --modules expected_calibration_error brier_score

Afterwards `evaluate.load("my-org/expected_calibration_error")` works wherever `evaluate`, NumPy and SciPy are
installed. A repeated run sends only changes. The script uses the token of `hf auth login` or HF_TOKEN, which needs
write access to the organization or user. An existing Space keeps its visibility.
"""

import argparse
from functools import partial
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.hf_api import RepoFile

from hf_sslgen import metric_names
from hf_sslgen.command_line import run_main
from hf_sslgen.errors import InputError
from hf_sslgen.files import replace_files
from hf_sslgen.hub.pushing import PushRequest, push_once
from hf_sslgen.hub_access.exchange import in_one_sentence, require_token
from hf_sslgen.hub_access.retries import patiently
from hf_sslgen.reporting.metric_spaces import GENERATED, space_files


def write_space(name: str, location: str, folder: Path) -> None:
    """Write the files of a metric's Space to a folder, replacing its contents."""
    files = space_files(name, location)
    with replace_files(folder, obsolete=["metrics_*.py"]) as unfinished:
        for file, text in files.items():
            (unfinished / file).write_text(text, encoding="utf-8")


def publish(api: HfApi, name: str, organization: str, private: bool) -> str:
    """Create or update one Space in one commit; returns a description of the changes.

    Raises:
        HubError: the Hub refuses, or is not to be had.
    """
    space = f"{organization}/{name}"
    page = f"spaces/{space}"
    files: dict[str, Path | bytes] = {file: text.encode() for file, text in space_files(name, space).items()}
    request = PushRequest(space, private=private or None, kind="space")
    with in_one_sentence(space, "space", writing=True):
        exists = patiently(lambda: api.repo_exists(space, repo_type="space"), page)
        before = patiently(lambda: _blobs(api, space), page) if exists else {}
        patiently(lambda: push_once(api, request, files, f"Publish {name}", GENERATED), page)
        after = patiently(lambda: _blobs(api, space), page)
    sent = sorted(file for file in files if after.get(file) != before.get(file))
    if not exists:
        return f"{space}: made, {len(sent)} files"
    removed = sorted(file for file in before if file not in after)
    changes = [f"{verb} {', '.join(names)}" for verb, names in (("updated", sent), ("removed", removed)) if names]
    return f"{space}: {'; '.join(changes) or 'nothing has changed'}"


def _blobs(api: HfApi, space: str) -> dict[str, str]:
    """Return the content hash of each file in the Space."""
    entries = api.list_repo_tree(space, repo_type="space", recursive=True)
    return {entry.path: entry.blob_id for entry in entries if isinstance(entry, RepoFile)}


def main(modules: list[str], output_dir: Path | None, organization: str | None, private: bool) -> None:
    """Write the Spaces to a folder, publish them, or do both."""
    if output_dir is None and organization is None:
        raise InputError(
            "nothing to do: give --output_dir to write the Spaces, --organization to publish them, or both"
        )
    if output_dir is not None:
        for name in modules:
            write_space(name, f"{organization}/{name}" if organization else f"path/to/{name}", output_dir / name)
            print(f"{output_dir / name}: written")
    if organization is not None:
        require_token(organization)
        for name in modules:
            print(publish(HfApi(), name, organization, private), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_dir", type=Path, help="folder to write the Spaces to, one subfolder each")
    parser.add_argument("--organization", help="organization or user on the Hub to publish under")
    parser.add_argument("--private", action="store_true", help="create new Spaces as private")
    parser.add_argument("--modules", nargs="+", choices=metric_names(), default=metric_names(), metavar="NAME")
    arguments = parser.parse_args()
    options = (arguments.modules, arguments.output_dir, arguments.organization, arguments.private)
    run_main(partial(main, *options))
