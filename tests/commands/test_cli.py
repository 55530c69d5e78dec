"""The console script: listings and dispatch, in a process of their own."""

import subprocess
import sys


def hf_sslgen(*options: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "hf_sslgen.cli", *options], capture_output=True, text=True)


def test_help_names_every_command():
    shown = hf_sslgen("--help")
    assert shown.returncode == 0
    for command in ("compare", "analyze", "demo", "zoo", "domains"):
        assert command in shown.stdout


def test_an_unknown_command_is_refused_with_the_nearest():
    refused = hf_sslgen("comapre")
    assert refused.returncode == 2
    assert "did you mean 'compare'" in refused.stderr


def test_a_reader_may_close_the_help():
    command = f"{sys.executable} -m hf_sslgen.cli status --help | true"
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert shown.stderr == ""


def test_alone_it_says_how_to_begin():
    shown = hf_sslgen()
    assert shown.returncode == 0
    assert [line.split()[1] for line in shown.stdout.splitlines() if line.startswith("  hf-sslgen")] == [
        *("demo", "compare", "study")
    ]


def test_zoo_lists_sets_and_marks_unverified_rows():
    listed = hf_sslgen("zoo").stdout
    assert "resnet18-tiny-imagenet-100" in listed
    unverified = [line for line in listed.splitlines() if line.endswith("(unverified)")]
    assert any("SauravMaheshkar/barlowtwins-resnet50-in1k" in line for line in unverified)
    assert not any("timm/resnet50.tv_in1k" in line for line in unverified)
    shown = hf_sslgen("zoo", "twin-resnet18-simclr").stdout
    assert "contrastive" in shown
    assert hf_sslgen("zoo", "resnet5O-in1k").returncode == 2


def test_domains_lists_groups_and_shows_one():
    listed = hf_sslgen("domains").stdout
    similar, different = listed.split("Significantly different")
    assert "cifar10 " in similar
    assert "photo-patches" in similar
    assert "eurosat" in different
    assert "(unverified)" in listed
    assert "horizontal_flip" in hf_sslgen("domains", "mnist").stdout


def test_claims_lists_sources_and_shows_one():
    listed = hf_sslgen("claims").stdout
    assert "Tendle and Hasan 2021 (2109.09150):\n  accuracy " in listed
    assert "underconfident-recent" in listed and "needs shifted test sets, which no domain has" in listed
    assert "above zero in each group of domains" in hf_sslgen("claims", "accuracy").stdout
    refused = hf_sslgen("claims", "acuracy")
    assert refused.returncode == 2 and "did you mean 'accuracy'" in refused.stderr


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m hf_sslgen zoo | head -n 1"
    piped = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert piped.stderr == ""
