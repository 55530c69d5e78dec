"""The app of a metric's Space: paste or upload inputs and get the metric's numbers.

All metrics share this app; `space.json` in the same folder holds the differences.
"""

import json
from pathlib import Path
from typing import Any

import evaluate
import gradio as gr
from app_inputs import TEXT_FORMATS, as_rows, read_inputs
from gradio_look import look

FOLDER = Path(__file__).parent
SPACE = json.loads((FOLDER / "space.json").read_text(encoding="utf-8"))
METRIC = evaluate.load(str(FOLDER / f"{SPACE['name']}.py"))


def compute(text: str, file: str | None, options: str) -> tuple[list[list[str]], dict[str, Any]]:
    """Return the table of numbers and the metric's full result; invalid input is shown as a message."""
    try:
        result = METRIC.compute(**read_inputs(text, file, options))
    except (ValueError, TypeError) as error:
        raise gr.Error(str(error), duration=None, print_exception=False) from error
    return as_rows(result), result


def build() -> gr.Blocks:
    """Build the page; requests run one at a time, because `evaluate` keeps inputs in the metric."""
    with gr.Blocks(title=SPACE["title"]) as page:
        gr.Markdown(f"# {SPACE['title']}\n\n{SPACE['description']}")
        with gr.Row():
            with gr.Column():
                text = gr.Textbox(label="Inputs", info=f"Paste {TEXT_FORMATS}", lines=10, max_lines=20)
                file = gr.File(
                    label="Or a file: .json, .csv or .npz", file_types=[".json", ".csv", ".npz"], height=150
                )
                options = gr.Textbox(label="Options", info="As a JSON object; may be left empty", lines=1)
                button = gr.Button("Compute", variant="primary")
                gr.Examples([[example] for example in SPACE["examples"]], inputs=[text], label="Examples")
            with gr.Column():
                table = gr.Dataframe(headers=["name", "value"], label="Result", interactive=False, wrap=True)
                with gr.Accordion("Everything, as JSON", open=False):
                    everything = gr.JSON(label="Result")
                with gr.Accordion("What goes in", open=False):
                    gr.Markdown(SPACE["inputs"])
                with gr.Accordion("What comes out", open=True):
                    gr.Markdown(SPACE["returns"])
                with gr.Accordion("Limits", open=False):
                    gr.Markdown(SPACE["limits"])
        button.click(compute, inputs=[text, file, options], outputs=[table, everything], concurrency_limit=1)
    return page


if __name__ == "__main__":
    build().launch(max_file_size="100mb", theme=look())
