"""The command that the app runs: its options, what is shown of it, and its end."""

import os
import time
from pathlib import Path

import pytest

from hf_sslgen.app import running_comparison
from hf_sslgen.app.app_session import app_session
from hf_sslgen.app.backbone_choices import chosen_backbones, loadable, names_in_set, offered_sets
from hf_sslgen.app.dropped_files import Limits
from hf_sslgen.app.running_comparison import Comparison, ComparisonRequest
from hf_sslgen.app.shown_html import progress, report
from hf_sslgen.commands.compare import CompareArguments
from hf_sslgen.domains.domain_arguments import SharedDomainArguments
from hf_sslgen.errors import InputError
from hf_sslgen.training.configuration import parse_arguments

TOKEN = "hf_" + "a" * 30


def request(folder: Path, **changes: object) -> ComparisonRequest:
    return ComparisonRequest("digits", chosen_backbones(["one"], "two = simclr"), folder / "out", **changes)  # type: ignore[arg-type]


def test_sets_that_come_with_the_package_are_offered_first_and_others_where_they_can_be_loaded() -> None:
    first, *others = offered_sets()
    assert first.name == "resnet18-tiny-imagenet-100"
    assert [name for _, name in names_in_set(first.name)] == [each.id for each in first.backbones]
    assert others and all(loadable(each) for each in others)
    assert "dino-resnet50" not in [name for _, name in names_in_set("resnet50-in1k")]  # needs conversion


def test_backbones_are_named_one_a_line() -> None:
    chosen = chosen_backbones(["twin"], "\n owner/name \npath/to/mine=simclr\ntwin\n")
    assert chosen.locations == ("twin", "owner/name", "path/to/mine")
    assert chosen.objectives == ("-", "-", "simclr")
    for others in ("=simclr", "owner/name =", "--output_dir", "a = --b"):
        with pytest.raises(InputError, match="is not a backbone"):
            chosen_backbones(["twin"], others)
    with pytest.raises(InputError, match="no backbone is chosen"):
        chosen_backbones([], " \n")


def test_the_options_are_those_of_the_command(tmp_path: Path) -> None:
    asked = request(
        tmp_path, protocols=("linear", "finetune"), group="different", max_images=9, untrained_control=False
    )
    arguments, shared = parse_arguments((CompareArguments, SharedDomainArguments), "", asked.options)
    assert arguments == CompareArguments(
        dataset_name=["digits"],
        output_dir=str(tmp_path / "out"),
        backbones=["one", "two"],
        objectives=["-", "simclr"],
        protocol=["linear", "finetune"],
        group=["different"],
        untrained_control=False,
    )
    assert (shared.max_train_samples, shared.max_eval_samples, shared.max_test_samples) == (9, 9, 9)
    assert asked.command.startswith(
        "hf-sslgen compare --dataset_name digits --backbones one two --objectives - simclr"
    )


def ended(running: Comparison) -> running_comparison.ComparisonState:
    while running.is_running:
        time.sleep(0.01)
    return running.state()


def test_what_the_command_says_is_shown_without_tokens_and_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"print('INFO hf_sslgen.x: <b>a cell</b> {TOKEN}'); print('error: no such data'); raise SystemExit(2)"
    monkeypatch.setattr(running_comparison, "COMMAND", ("-c", script))
    state = ended(Comparison(request(tmp_path), tmp_path / "log"))
    assert state.said == ("<b>a cell</b> (token)", "error: no such data")
    assert (state.exit_code, state.error, state.has_report) == (2, "no such data", False)
    shown = progress(state, "hf-sslgen compare --dataset_name '<i>'")
    assert 'role="alert">no such data<' in shown
    assert "&lt;b&gt;a cell&lt;/b&gt;" in shown and "&lt;i&gt;" in shown and TOKEN not in shown


def test_only_a_page_of_this_comparison_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "out" / "report" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("earlier")
    old = time.time() - 60
    os.utime(page, (old, old))
    monkeypatch.setattr(running_comparison, "COMMAND", ("-c", "pass"))
    assert not ended(Comparison(request(tmp_path), tmp_path / "log")).has_report
    monkeypatch.setattr(running_comparison, "COMMAND", ("-c", f"open({str(page)!r}, 'w').write('new')"))
    assert ended(Comparison(request(tmp_path), tmp_path / "log")).has_report
    assert 'src="./report/?3"' in report(3)


def test_a_session_runs_one_comparison_stops_it_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = "import sys, time; print('begun'); time.sleep(600)"
    monkeypatch.setattr(running_comparison, "COMMAND", ("-c", wait))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with app_session(tmp_path / "out", Limits()) as session:
        folder = session.folder
        assert folder.stat().st_mode & 0o777 == 0o700
        running = session.start(request(tmp_path))
        with pytest.raises(InputError, match="a comparison is running"):
            session.start(request(tmp_path))
        while not running.state().said:
            time.sleep(0.01)
        session.stop()
        state = running.state()
        assert (state.exit_code, state.error) == (running_comparison.STOPPED, "")
        assert "Stopped. Finished work is kept" in progress(state, "command")
        again = session.start(request(tmp_path))
        assert session.number == 2 and session.report_page() is None
    assert not again.is_running
    assert not folder.exists()
