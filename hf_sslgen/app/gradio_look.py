"""What this package's Gradio pages share: how they look, and that they ask no other server for anything.

Spaces contain a copy of this module, so it needs nothing but Gradio.
"""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported; it would also look for new versions

import gradio as gr

SANS = ("system-ui", "sans-serif")
MONO = ("ui-monospace", "monospace")
"""Fonts of the visitor's own system: named ones would be fetched."""

FOOTER: list[str] = []
"""Links at the foot of a page: none, since Gradio's lead elsewhere."""


def look() -> gr.Theme:
    """Return the theme of all pages: Gradio's own, with more contrast where it has too little to be read by all."""
    theme = gr.themes.Default(primary_hue="blue", neutral_hue="slate", font=SANS, font_mono=MONO)
    return theme.set(
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
    )
