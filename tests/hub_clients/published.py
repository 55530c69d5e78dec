"""Puts backbones on the Hub that the environment points to: `published.py PLAN`, a JSON list of repositories."""

import json
import sys
from pathlib import Path

from huggingface_hub import HfApi


def publish(repository: dict) -> None:
    """A repository has `name` and `commits` (a folder each), and may have `tag` (of the first), `private`, `gated`."""
    api, name = HfApi(), repository["name"]
    api.create_repo(name, private=repository.get("private", False), exist_ok=True)
    for index, folder in enumerate(repository["commits"]):
        api.upload_folder(repo_id=name, folder_path=folder, commit_message=f"version {index}")
        if index == 0 and "tag" in repository:
            api.create_tag(name, tag=repository["tag"])
    if repository.get("gated"):
        api.update_repo_settings(name, gated="auto")


if __name__ == "__main__":
    for each in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        publish(each)
