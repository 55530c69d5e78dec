#!/usr/bin/env bash
# A new user's way, timed: from `git clone` to the page on a folder of one's own pictures.
#
#     benchmarks/new_user.sh DATASET [PICTURES] [LAYOUT...]
#
# DATASET is a folder of parquet files with images and labels, such as CIFAR-10's, of which PICTURES (2000) are written as
# files. LAYOUT is one or more of classes, splits, metadata and parquet (default: all). Everything happens in a temporary
# folder, which is removed: a fresh clone of this repository's HEAD, a fresh environment, and one comparison of the shipped
# twins per layout, without the package registry's cache unless PIP_CACHE_DIR names one. TWIN_SET=... takes another set.
set -euo pipefail

dataset=$(realpath "${1:?usage: benchmarks/new_user.sh DATASET [PICTURES] [LAYOUT...]}")
pictures=${2:-2000}
layouts=("${@:3}")
((${#layouts[@]})) || layouts=(classes splits metadata parquet)
repository=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export HF_HOME=$folder/hf HF_HUB_OFFLINE=${HF_HUB_OFFLINE:-1} PIP_CACHE_DIR=${PIP_CACHE_DIR:-$folder/pip}

step() {
    local words=$1 begun ended
    shift
    begun=$(date +%s.%N)
    "$@" >"$folder/log" 2>&1 || { tail -n 30 "$folder/log" >&2; echo "failed: $words" >&2; exit 1; }
    ended=$(date +%s.%N)
    seconds=$(echo "$ended - $begun" | bc)
    printf '%8.1f s  %s\n' "$seconds" "$words"
}

echo "$(nproc) cores, $(uname -sm)"
step "git clone" git clone --quiet "$repository" hf_sslgen
spent=$seconds
cd hf_sslgen
step "python3 -m venv .venv" "${PYTHON:-python3}" -m venv .venv
spent=$(echo "$spent + $seconds" | bc)
step "pip install ." .venv/bin/pip install .
spent=$(echo "$spent + $seconds" | bc)
for layout in "${layouts[@]}"; do
    step "  ($pictures pictures as $layout, not counted)" \
        .venv/bin/python benchmarks/picture_folders.py "$dataset" "../$layout" --layout "$layout" --pictures "$pictures"
    step "hf-sslgen compare, $layout" .venv/bin/hf-sslgen compare --dataset_name "../$layout" --group different \
        --twin_set "${TWIN_SET:-resnet18-tiny-imagenet-100}" --output_dir "runs/$layout"
    test -s "runs/$layout/report/index.html"
    minutes=$(echo "scale=1; ($spent + $seconds) / 60" | bc)
    printf '%8.1f min from git clone to the page: %s, %s bytes\n' "$minutes" "$layout" "$(stat -c %s "runs/$layout/report/index.html")"
done
