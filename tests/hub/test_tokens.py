"""No token is left anywhere: every command that talks to the Hub, as talkative as it can be, well and badly ended."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import warm_python
from damage import reseal
from huggingface_hub import HfApi
from study_on_hub import add_cells

from hf_sslgen.command_line import run_main
from hf_sslgen.tokens import VARIABLES, without_tokens
from tests.loopback_hub import ROLES, WRONG_TOKEN, Hub

ROOT = Path(__file__).parents[2]
TWIN = ROOT / "hf_sslgen" / "zoo" / "twins" / "resnet18-supervised"
DIGITS = ROOT / "hf_sslgen" / "domains" / "embedded" / "digits"
TOKENS = [WRONG_TOKEN, *(role.token for role in ROLES.values())]
PART = 12
"""Characters in a row that give a token away."""

PARTS = {token[start : start + PART].encode() for token in TOKENS for start in range(len(token) - PART + 1)}

TALKATIVE = {
    "HF_DEBUG": "1",  # each request as a curl command
    "HF_HUB_VERBOSITY": "debug",
    "DATASETS_VERBOSITY": "debug",
    "TRANSFORMERS_VERBOSITY": "debug",
}
RUN = """
import logging, runpy, sys
logging.basicConfig(level=logging.DEBUG)
sys.argv = sys.argv[1:]
if sys.argv[0].endswith(".py"):
    runpy.run_path(sys.argv[0], run_name="__main__")
else:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
TWIN_ENTRY = {"location": "twin-resnet18-supervised", "name": "twin"}
SIZES = ["--max_train_samples", "30", "--max_eval_samples", "20", "--max_test_samples", "20"]


@dataclass
class Workplace:
    """Where commands run; each has its caches, its outputs and its temporary files below `folder`."""

    hub: Hub
    folder: Path
    said: list[str] = field(default_factory=list)

    def run(self, *command: str, token: str = "", code: int = 0) -> str:
        """Run a module or script by a process of its own; returns what it says."""
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        environment = self.hub.environment(None) | TALKATIVE | {"TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
        environment |= {"HF_TOKEN": token} if token else {}
        ended = warm_python.run(["-c", RUN, *command], env=environment, cwd=self.folder)
        self.said.append(ended.stdout + ended.stderr)
        assert ended.returncode == code, self.said[-1][-3000:]
        assert "authorization: <TOKEN>" in self.said[-1]  # talkative it was
        return self.said[-1]

    def assert_no_token(self) -> None:
        """Neither said, nor in a file here, in a cache or in a repository."""
        assert not [part for part in PARTS if part in "".join(self.said).encode()]
        files = [path for root in (self.folder, self.hub.root) for path in root.rglob("*") if path.is_file()]
        assert len(files) > 5
        holding = {path for path in files for part in PARTS if part in path.read_bytes() + unpacked(path)}
        assert holding == set()


def unpacked(path: Path) -> bytes:
    """The text of a file that is compressed."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        columns = [column for column in table.columns if pa.types.is_string(column.type)]
        return "".join(str(value) for column in columns for value in column.unique().to_pylist()).encode()
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return "".join(str(arrays[name]) for name in arrays.files if arrays[name].dtype.kind == "U").encode()
    return b""


@pytest.fixture
def workplace(hub: Hub, tmp_path: Path) -> Iterator[Workplace]:
    workplace = Workplace(hub, tmp_path / "work")
    workplace.folder.mkdir()
    yield workplace
    workplace.assert_no_token()


def publish(api: HfApi, name: str, kind: str, folder: Path, private: bool = True) -> None:
    api.create_repo(name, repo_type=kind, private=private)
    api.upload_folder(repo_id=name, repo_type=kind, folder_path=folder)


OWNER, READER, NOBODY = (ROLES[name].token for name in ("owner", "reader", "nobody"))


@pytest.mark.slow
def test_analyze(hub: Hub, api: HfApi, workplace: Workplace) -> None:
    """A private backbone on a private data set: read, and refused."""
    publish(api, "org/base", "model", TWIN)
    publish(api, "org/digits", "dataset", DIGITS)
    command = ["hf_sslgen.cli", "analyze", "--model_name_or_path", "org/base", "--dataset_name", "org/digits"]
    command += ["--max_subset", "10", *SIZES, "--output_dir"]
    workplace.run(*command, "good", token=READER)
    assert "rejects the token" in workplace.run(
        *["digits" if word == "org/digits" else word for word in command], "wrong", token=WRONG_TOKEN, code=2
    )
    workplace.run(*command, "stranger", token=NOBODY, code=2)


@pytest.mark.slow
def test_finetune(hub: Hub, api: HfApi, workplace: Workplace) -> None:
    publish(api, "org/base", "model", TWIN, private=False)
    command = [str(ROOT / "recipes" / "finetune.py"), "--model_name_or_path", "org/base", "--dataset_name", "digits"]
    command += ["--use_cpu", "--num_train_epochs", "1", *SIZES, "--output_dir", "tuned", "--hub_license", "mit"]
    command += ["--push_to_hub", "--hub_model_id", "org/tuned", "--push_demo_space", "--hub_token"]
    workplace.run(*command, WRONG_TOKEN, code=2)
    workplace.run(*command, READER, "--token", OWNER, code=2)
    hub.fail("status", "/api/models/org/tuned/commit/", status=403)
    assert "the model is finished and complete" in workplace.run(*command, OWNER, code=2)
    said = workplace.run(*command, OWNER, token=READER)
    assert f"{hub.endpoint}/spaces/org/tuned-demo: pushed" in said


def add_private_notes(store: Path) -> None:
    """A token in what a study's cells say of themselves, as a command line or a note may have it."""
    for cell in (store / "cells").iterdir():
        content = json.loads((cell / "cell.json").read_text())
        content["provenance"] |= {"command": ["--hub_token", OWNER], "notes": [f"read with {OWNER}"]}
        (cell / "cell.json").write_text(json.dumps(content))
        reseal(cell)


@pytest.mark.slow
def test_a_study(hub: Hub, api: HfApi, workplace: Workplace, study_file: Callable[..., Path], tmp_path: Path) -> None:
    add_cells(tmp_path / "store", "linear")
    add_private_notes(tmp_path / "store")
    push = ["hf_sslgen.cli", "push-study", str(tmp_path / "store"), "org/study", "--private", "true"]
    workplace.run(*push, token=WRONG_TOKEN, code=2)
    workplace.run(*push, token=READER, code=2)
    assert "the page is new" in workplace.run(*push, "--report_space", "true", token=OWNER)
    study = study_file(seeds=[0], backbones=[TWIN_ENTRY])
    pull = ["hf_sslgen.cli", "study", str(study), "--output_dir", "pulled", "--pull", "org/study"]
    assert "2 cells pulled" in workplace.run(*pull, token=READER)
    workplace.run(*pull, token=NOBODY, code=2)
    workplace.run(*pull, token=WRONG_TOKEN, code=2)


def test_metrics(hub: Hub, api: HfApi, workplace: Workplace) -> None:
    command = [str(ROOT / "scripts" / "publish_metrics.py"), "--organization", "org", "--modules", "brier_score"]
    workplace.run(*command, token=WRONG_TOKEN, code=2)
    workplace.run(*command, token=READER, code=2)
    hub.fail("status", "/commit/", status=400)
    assert "error: the Hub rejects the push" in workplace.run(*command, token=OWNER, code=2)
    workplace.run(*command, token=OWNER)


@pytest.mark.parametrize(
    "token", [OWNER, "api_org_abcdefghijklmnopqrst", "hf_with.a.dot\N{EURO SIGN}", "another form"]
)
def test_an_unexpected_exception_does_not_tell_the_token(
    token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)

    def fail() -> None:
        try:
            raise RuntimeError(f"Illegal header value b'Bearer {token}'")
        except RuntimeError as error:
            raise KeyError("unexpected") from error

    with pytest.raises(SystemExit, match="1"):
        run_main(fail)
    said = capsys.readouterr().err
    assert "RuntimeError: Illegal header value b'Bearer (token)'" in said
    assert said.splitlines()[-1] == "KeyError: 'unexpected'"
    assert token not in said


@pytest.mark.parametrize("token", [*TOKENS, "api_org_abcdefghijklmnopqrst", "hf_oauth_with.two-more.parts"])
def test_a_token_of_somebody_else_is_known_by_its_form(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in what another machine wrote, where the environment of this process does not have it."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    text = "--hub_token {0} --note 'Bearer {0}' https://user:{0}@huggingface.co/org/a"
    assert without_tokens(text.format(token)) == text.format("(token)")


def test_what_is_no_token_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "a")
    text = "hf_sslgen.commands.analyze, hf_hub:org/a, hf-sslgen"
    assert without_tokens(text) == text
