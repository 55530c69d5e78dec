"""The documentation site: `make docs` builds it, and every warning, such as a broken link, fails the build."""

import sys
from pathlib import Path

from hf_sslgen import __version__

sys.path.insert(0, str(Path(__file__).parent / "_site"))

project = "hf_sslgen"
author = "The hf_sslgen contributors"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "command_help",
    "markdown_docstrings",
    "outside_links",
    "self_contained",
]
exclude_patterns = ["_site"]

myst_heading_anchors = 4
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_use_param = False  # names that share a description stay together
napoleon_custom_sections = [("Attributes", "params_style")]

html_theme = "furo"
html_title = "hf_sslgen"
html_copy_source = False
html_show_sphinx = False
