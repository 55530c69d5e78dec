"""Show the page of a demo: a picture in; prediction, confidence and attribution out."""

import gradio as gr
from gradio_look import look
from prediction import SPACE, predict

page = gr.Interface(
    predict,
    gr.Image(type="filepath", image_mode=None, label="Picture"),  # unconverted: Gradio would truncate high bit depths
    [gr.Label(label="Prediction and confidence"), gr.Image(label="What it rests on")],
    title=SPACE["title"],
    description="Red: parts of the picture whose removal lowers the confidence in the first class.",
    flagging_mode="never",
    api_name="predict",
)

if __name__ == "__main__":
    page.launch(theme=look())
