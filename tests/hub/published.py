"""Puts models and data sets on the Hub of the environment: `published.py PLAN`, a JSON list of repositories."""

import json
import sys
from pathlib import Path

from huggingface_hub import HfApi


def publish(repository: dict) -> None:
    """A repository has `name` and `commits` (a folder each).

    It may have `type` (a model's by default), `tag` (of the first commit), `private` and `gated`.
    """
    api, name, kind = HfApi(), repository["name"], repository.get("type", "model")
    api.create_repo(name, repo_type=kind, private=repository.get("private", False), exist_ok=True)
    for index, folder in enumerate(repository["commits"]):
        api.upload_folder(repo_id=name, repo_type=kind, folder_path=folder, commit_message=f"version {index}")
        if index == 0 and "tag" in repository:
            api.create_tag(name, repo_type=kind, tag=repository["tag"])
    if repository.get("gated"):
        api.update_repo_settings(name, repo_type=kind, gated="auto")


if __name__ == "__main__":
    for each in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        publish(each)
