"""What tools read about the package agrees with it."""

import re
import tomllib
from pathlib import Path

import hf_sslgen
from hf_sslgen.yaml_files import read_yaml

ROOT = Path(__file__).parents[2]


def test_the_citation_is_of_this_version_and_of_the_study() -> None:
    citation = read_yaml(ROOT / "CITATION.cff", "citation")
    assert citation["version"] == hf_sslgen.__version__
    assert citation["license"] == "Apache-2.0"
    (study,) = citation["references"]
    assert [author["family-names"] for author in study["authors"]] == ["Tendle", "Hasan"]
    assert study["identifiers"][0]["value"] == "arXiv:2109.09150"


def test_the_package_is_marked_as_typed() -> None:
    assert (Path(hf_sslgen.__file__).parent / "py.typed").is_file()


def test_the_workflow_runs_what_every_change_has_to_pass() -> None:
    (job,) = read_yaml(ROOT / ".github" / "workflows" / "ci.yml", "workflow")["jobs"].values()
    assert job["steps"][-1] == {"run": ".ci/run"} and job["env"] == {"CI": "true"}
    commands = (ROOT / ".ci" / "run").read_text().splitlines()[-5:]
    made = ["quality", "browser", "test", "test-apps", "docs"]
    assert [command.partition(" ||")[0] for command in commands] == [f"make {target}" for target in made]


def test_one_extra_installs_what_every_command_can_use() -> None:
    """All but what only developing the package needs."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    whole = re.fullmatch(r"hf-sslgen\[(.*)\]", extras["all"][0])
    assert whole is not None
    assert set(whole.group(1).split(",")) == extras.keys() - {"all", "bench", "docs", "test"}
