"""Generate the Space of a metric: its script, copies of the functions it needs, an app and a card.

`evaluate.load` fetches a script and the files that the script imports relatively, all from one folder. So every module
of this package that the script needs is copied beside it, with only the names in its imports changed:
`hf_sslgen.metrics.inputs` becomes `.metrics_inputs`.
"""

import ast
import doctest
import importlib
import json
import re
from pathlib import Path
from typing import Any

from hf_sslgen import __version__, metric_path
from hf_sslgen.reporting.cards import render_card

PACKAGE = Path(__file__).parents[1]
TEMPLATE = PACKAGE / "evaluate_modules" / "space_template"
TEMPLATE_FILES = ("app.py", "app_inputs.py", "requirements.txt")
LOOK = PACKAGE / "app" / "gradio_look.py"
"""Module that all Gradio pages of this package share."""

TEXTS = ("DESCRIPTION", "INPUTS", "RETURNS", "LIMITS", "CITATION")
GRADIO_VERSION = "6.31.0"
OUR_IMPORT = re.compile(r"^from hf_sslgen\.([\w.]+) import", re.MULTILINE)
GENERATED = ("metrics_*.py", "evaluate_modules_*.py")
"""Name patterns of the copies; a newer version of a Space may need fewer of them."""


def space_files(name: str, location: str) -> dict[str, str]:
    """Return the files of a metric's Space as text by file name.

    Args:
        name: name of the metric.
        location: argument of `evaluate.load` in its card, such as `organization/name`.

    Raises:
        ValueError: the metric does not exist.
    """
    source = (Path(metric_path(name)) / f"{name}.py").read_text(encoding="utf-8")
    copies = {_flat_name(module): _read_module(module) for module in _needed_modules(source)}
    files = {f"{flat}.py": _with_relative_imports(text) for flat, text in copies.items()}
    files[f"{name}.py"] = _space_script(source, list(copies))
    files |= {template: (TEMPLATE / template).read_text(encoding="utf-8") for template in TEMPLATE_FILES}
    files[LOOK.name] = LOOK.read_text(encoding="utf-8")

    texts = _texts(name)
    title = name.replace("_", " ").capitalize()
    app = {"name": name, "title": title, "examples": _examples(texts["INPUTS"])}
    app |= {text.lower(): texts[text] for text in ("DESCRIPTION", "INPUTS", "RETURNS", "LIMITS")}
    files["space.json"] = json.dumps(app, indent=2) + "\n"
    values: dict[str, Any] = {text.lower(): content for text, content in texts.items()}
    values |= {"name": name, "title": title, "location": location, "version": __version__}
    values |= {"gradio_version": GRADIO_VERSION, "requirements": files["requirements.txt"].split()}
    files["README.md"] = render_card("metric.md", values)
    return files


def _needed_modules(source: str) -> list[str]:
    """Return the modules of this package that a source needs, directly or indirectly, such as `metrics.inputs`, in
    alphabetical order."""
    needed: set[str] = set()
    to_read = [source]
    while to_read:
        new = set(OUR_IMPORT.findall(to_read.pop())) - needed
        needed |= new
        to_read.extend(_read_module(module) for module in new)
    return sorted(needed)


def _read_module(module: str) -> str:
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")


def _flat_name(module: str) -> str:
    return module.replace(".", "_")


def _with_relative_imports(source: str) -> str:
    return OUR_IMPORT.sub(lambda match: f"from .{_flat_name(match[1])} import", source)


def _space_script(source: str, copies: list[str]) -> str:
    script = _with_relative_imports(source)
    unnamed = [name for name in copies if f"from .{name} import" not in script]
    lines = [f"from .{name} import __name__ as _{name}" for name in unnamed]
    return "\n".join([script, "# Only files that this script names are fetched; others import these.", *lines, ""])


def _texts(name: str) -> dict[str, str]:
    """Return the texts with which the metric's script describes itself."""
    script = vars(importlib.import_module(f"hf_sslgen.evaluate_modules.{name}.{name}"))
    return {text: script[text].strip() for text in TEXTS}


def _examples(inputs: str) -> list[str]:
    """Return the inputs of the `metric.compute` calls in a text's doctests, as JSON."""
    examples = []
    for example in doctest.DocTestParser().get_examples(inputs):
        for node in ast.walk(ast.parse(example.source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "compute":
                arguments = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords}
                examples.append(json.dumps(arguments))
    return examples
