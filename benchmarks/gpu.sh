#!/bin/sh
# What a GPU makes of this package, in at most six minutes: fine-tuning in half precision, the analysis, fine-tuning at
# 224 px, the probes and a study with stored features, with peak memory. Needs Python with this package's dependencies
# (of other people's packages torch, timm, transformers, datasets, evaluate and captum); nothing is downloaded.
#
#     benchmarks/gpu.sh [OUTPUT_DIR]
#
# Writes OUTPUT_DIR/gpu.json and OUTPUT_DIR/gpu.md (default: runs/gpu). Without a GPU it takes small sizes, which only
# shows that it works. PYTHON names another interpreter than python3.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1
exec "${PYTHON:-python3}" "$root/benchmarks/measured/gpu_suite.py" "${1:-runs/gpu}"
