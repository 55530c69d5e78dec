"""Pretrain a twin: the same network, images, order and augmentation for every objective.

    accelerate launch recipes/pretrain.py --config recipes/configs/pretrain/resnet18_64px.yaml \
        --objective simclr --dataset_name path/to/tiny-imagenet-100 --output_dir runs/simclr

Run again with the same options, interrupted training goes on after its last finished epoch.
"""

from hf_sslgen.command_line import run_command

if __name__ == "__main__":
    run_command("hf_sslgen.commands.pretrain")
