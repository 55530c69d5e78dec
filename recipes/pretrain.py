"""Pretrain a twin: the same network, images, order and augmentation for every objective.

    python recipes/pretrain.py --config recipes/configs/pretrain/resnet18_64px.yaml \
        --objective simclr --dataset_name path/to/tiny-imagenet-100 --output_dir runs/simclr

To resume interrupted training, run the same command again; it ends with the same weights. For several processes, use
torchrun --nproc_per_node 2 recipes/pretrain.py ... (on a CPU with ACCELERATE_USE_CPU=1).
"""

from hf_sslgen.command_line import run_command

if __name__ == "__main__":
    run_command("hf_sslgen.commands.pretrain")
