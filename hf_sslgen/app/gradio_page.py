"""The app's page: drop or name images, choose backbones, watch the comparison, see the result."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from hf_sslgen.app import shown_html
from hf_sslgen.app.app_session import AppSession
from hf_sslgen.app.backbone_choices import chosen_backbones, is_shipped, names_in_set, offered_sets
from hf_sslgen.app.found_images import MOST_LOOKED_AT, find_images
from hf_sslgen.app.running_comparison import ComparisonRequest
from hf_sslgen.errors import InputError, SslgenError

TITLE = "Which backbone for my images?"
INTRODUCTION = f"""# {TITLE}

Choose images and backbones. Each backbone is measured on the same held-out images: how accurate it is, how well its
confidence is calibrated, where it looks, and how invariant it is to changes of the image. Everything stays on this
machine."""

ZONE = """
<div class="drop-zone" data-most="{most}">
<p><strong>Drop pictures, a folder or a zip here</strong><br>one folder per class to compare, or a few pictures
without labels to look at</p>
<button type="button" data-opens="drop-files">Choose files</button>
<button type="button" data-opens="drop-folder">Choose a folder</button>
<input type="file" id="drop-files" multiple hidden aria-label="Pictures or a zip">
<input type="file" id="drop-folder" webkitdirectory hidden aria-label="Folder of pictures">
<p class="drop-said" role="status"></p>
</div>"""
JAVASCRIPT = Path(__file__).with_name("drop_zone.js")
STYLE = Path(__file__).with_name("app.css")

PROGRESS = "progress"
POLL_SECONDS = 1.0
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
"""Handlers can be called from the page only."""


def build_page(session: AppSession) -> gr.Blocks:
    """Build the page of a session; all work is done by the other modules of this room."""
    sets = offered_sets()
    labels = [(f"{each.name}{' (comes with this package)' if is_shipped(each) else ''}", each.name) for each in sets]
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.Markdown(INTRODUCTION)
        gr.Markdown("## Images")
        zone = gr.HTML(ZONE.format(most=session.area.limits.files), js_on_load=JAVASCRIPT.read_text(encoding="utf-8"))
        found = gr.HTML(elem_classes="shown")
        named = gr.Textbox(
            label="Or name them",
            info="A folder or parquet file on this machine, a dataset on the Hub, or a name such as photo-patches.",
        )
        gr.Markdown("## Backbones")
        twin_set = gr.Dropdown(
            labels,
            value=sets[0].name,
            label="Set",
            info="Backbones of one set have one architecture and one source of images, so only the objective differs.",
        )
        ticked = gr.CheckboxGroup(
            names_in_set(sets[0].name), value=[name for _, name in names_in_set(sets[0].name)], label="From the set"
        )
        others = gr.Textbox(
            label="Others, one per line",
            info="A checkpoint folder or a Hub id, and its objective if you know it: owner/name = simclr",
            lines=2,
        )
        with gr.Accordion("More settings", open=False):
            protocols = gr.CheckboxGroup(
                [("Linear probe on frozen features (quick)", "linear"), ("Fine-tuning (slow)", "finetune")],
                value=["linear"],
                label="How backbones are adapted",
            )
            group = gr.Radio(
                [("not stated", "-"), ("similar", "similar"), ("different", "different")],
                value="-",
                label="How these images compare with those that the backbones were trained on",
            )
            max_images = gr.Number(value=None, precision=0, minimum=1, label="At most this many images of each split")
            control = gr.Checkbox(True, label="Also measure an untrained network, as a baseline")
        with gr.Row():
            start = gr.Button("Compare", variant="primary")
            stop = gr.Button("Stop", interactive=False)
        shown, result = gr.HTML(elem_id=PROGRESS, elem_classes="shown"), gr.HTML()
        dropped, timer = gr.State(""), gr.Timer(POLL_SECONDS, active=False)

        watched = [shown, result, stop, timer]

        def arrived(event: gr.EventData) -> tuple[Any, ...]:  # Gradio gives an event to parameters of this type
            return _arrived(session, event)

        zone.upload(arrived, None, [dropped, named, found], **PRIVATE)
        twin_set.change(_offer, twin_set, ticked, **PRIVATE)
        chosen = [dropped, named, ticked, others, protocols, group, max_images, control]
        begun = start.click(lambda *given: (yield from _begin(session, *given)), chosen, watched, **PRIVATE)
        start.click(None, js=f"() => document.getElementById('{PROGRESS}').scrollIntoView()", **PRIVATE)
        timer.tick(lambda: _watch(session), None, watched, **PRIVATE)
        stop.click(lambda: _stop(session), None, watched, cancels=[begun], **PRIVATE)
        page.load(lambda: _watch(session), None, watched, **PRIVATE)
    return page


def _arrived(session: AppSession, event: gr.EventData) -> tuple[Any, ...]:
    """Say what was dropped; a name that was typed before gives way to it."""
    try:
        folder = session.area.gathered(str(event.token))
        return str(folder), "", shown_html.notice(find_images(str(folder)).in_words)
    except SslgenError as error:
        return "", gr.skip(), shown_html.refusal(str(error))


def _offer(twin_set: str) -> Any:
    offered = names_in_set(twin_set)
    return gr.CheckboxGroup(offered, value=[name for _, name in offered])


def _begin(
    session: AppSession,
    dropped: str,
    named: str,
    ticked: list[str],
    others: str,
    protocols: list[str],
    group: str,
    max_images: int | None,
    control: bool,
) -> Iterator[tuple[Any, ...]]:
    """Start a comparison, or look at pictures without labels and show each view as soon as it is there."""
    try:
        images = find_images(named or dropped)
        backbones = chosen_backbones(ticked, others)
        if images.labels:
            if not protocols:
                raise InputError("tick at least one way to adapt the backbones, such as the linear probe")
            session.start(
                ComparisonRequest(
                    images.dataset_name,
                    backbones,
                    session.output_dir,
                    tuple(protocols),
                    group,
                    max_images or None,
                    control,
                )
            )
            progress, _, *rest = _watch(session)
            yield progress, "", *rest
            return
        session.require_idle()
        left_out = max(0, len(images.pictures) - MOST_LOOKED_AT)
        yield shown_html.notice("Looking at the pictures."), "", gr.Button(interactive=True), gr.skip()
        from hf_sslgen.app.label_free_view import View, label_free_views  # takes seconds, for torch

        views: list[View] = []
        for view in label_free_views(backbones.locations, images.pictures):
            views.append(view)
            table = shown_html.side_by_side(views, len(backbones.locations), left_out)
            yield "", table, gr.Button(interactive=True), gr.skip()
        yield gr.skip(), gr.skip(), gr.Button(interactive=False), gr.skip()
    except SslgenError as error:
        yield shown_html.refusal(str(error)), gr.skip(), gr.skip(), gr.skip()


def _watch(session: AppSession) -> tuple[Any, ...]:
    """Show how far the comparison is, and its report once it is there."""
    if session.comparison is None:
        return gr.skip(), gr.skip(), gr.skip(), gr.Timer(active=False)
    state = session.comparison.state()
    runs = state.exit_code is None
    result = shown_html.report(session.number) if state.has_report else gr.skip()
    progress = shown_html.progress(state, session.comparison.request.command)
    return progress, result, gr.Button(interactive=runs), gr.Timer(active=runs)


def _stop(session: AppSession) -> tuple[Any, ...]:
    session.stop()
    return _watch(session)
