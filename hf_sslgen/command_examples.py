"""The commands in groups, each with examples, for `--help` and for a first start."""

GROUPS = {
    "Choose a backbone for your images": ("compare", "app", "analyze"),
    "Run a study": ("study", "status", "report", "push-study"),
    "Look things up": ("zoo", "domains", "claims"),
    "Other": ("demo", "convert", "completion"),
}

START = (
    ("hf-sslgen demo", "see it work: no network, a few minutes, a page at the end"),
    (
        "hf-sslgen compare --dataset_name my_images --twin_set resnet50-in1k --output_dir runs/mine",
        "compare the backbones of a set on a folder of your images",
    ),
    ("hf-sslgen study study.yaml --output_dir runs/study", "backbones x domains x protocols x seeds, resumable"),
)
"""The commands to begin with, and what each is for."""

EXAMPLES = {
    "compare": (
        "hf-sslgen compare --dataset_name my_images --twin_set resnet50-in1k --output_dir runs/mine",
        "hf-sslgen compare --dataset_name digits --backbones twin-resnet18-simclr twin-resnet18-supervised "
        "--output_dir runs/two",
        "hf-sslgen compare --dataset_name my_images --group different --twin_set vit_small_patch16-in1k "
        "--protocol linear finetune --output_dir runs/tuned",
    ),
    "app": ("hf-sslgen app", "hf-sslgen app --port 0 --output_dir runs/app"),
    "analyze": (
        "hf-sslgen analyze --model_name_or_path runs/twin_digits --dataset_name digits --output_dir runs/analysis",
        "hf-sslgen analyze --model_name_or_path twin-resnet18-simclr --dataset_name digits --output_dir runs/encoder",
    ),
    "study": (
        "hf-sslgen study study.yaml --output_dir runs/study --dry_run true",
        "hf-sslgen study study.yaml --output_dir runs/study_stand_ins --stand_ins",
        "hf-sslgen study study.yaml --output_dir runs/study --workers 4",
        "hf-sslgen study study.yaml --power",
    ),
    "status": ("hf-sslgen status runs/study", "hf-sslgen status runs/study --watch"),
    "report": ("hf-sslgen report runs/study",),
    "push-study": (
        "hf-sslgen push-study runs/study my-org/study --dry_run true",
        "hf-sslgen push-study runs/study my-org/study --report_space true",
    ),
    "zoo": (
        "hf-sslgen zoo",
        "hf-sslgen zoo resnet50-in1k",
        "hf-sslgen zoo convert resnet50-in1k --dry_run",
        "hf-sslgen zoo convert resnet50-in1k",
        "hf-sslgen zoo check dino-resnet50 --dataset_name imagenet1k --max_train_samples 100000",
    ),
    "domains": ("hf-sslgen domains", "hf-sslgen domains eurosat"),
    "claims": ("hf-sslgen claims", "hf-sslgen claims accuracy"),
    "demo": ("hf-sslgen demo", "hf-sslgen demo --output_dir runs/demo"),
    "convert": (
        "hf-sslgen convert moco-v2-800ep-resnet50",
        "hf-sslgen convert path/to/checkpoint.pth --output_dir backbones/own",
        "hf-sslgen convert path/to/folder --source owner/name",
    ),
    "completion": (
        'eval "$(hf-sslgen completion bash)"',
        "hf-sslgen completion fish > ~/.config/fish/completions/hf-sslgen.fish",
    ),
}
"""Examples of each command, the simplest first."""


def examples_text(command: str) -> str:
    """Return what `--help` of a command shows below its options."""
    return "\n".join(["", "examples:", *(f"  {example}" for example in EXAMPLES[command])])


def start_text() -> str:
    """Return what `hf-sslgen` alone shows."""
    lines = ["Which pretrained backbone for my images, by how much, and can I trust it?", "", "To begin with:"]
    for command, purpose in START:
        lines += [f"  {command}", f"      {purpose}"]
    return "\n".join([*lines, "", "hf-sslgen --help lists every command, and hf-sslgen COMMAND --help its options."])
