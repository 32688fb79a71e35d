#!/usr/bin/env bash
# The main job on this machine: an embedded server, a worker, a training run followed live, an evaluation.
set -euo pipefail

cd "$(dirname "$0")/.."
export MNIST_STORAGE_DIR="$PWD/.demo" MNIST_DATA_DIR="${MNIST_DATA_DIR:-$PWD/.demo/datasets}"
unset MNIST_BROKER_URL
epochs=${EPOCHS:-3}
mkdir -p .demo

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

say "MNIST: looking in $MNIST_DATA_DIR, else downloading it"
if python - <<'P'; then
import sys
from pathlib import Path
import os
from mnist_shared.errors import DatasetError
from mnist_shared.training.data import load_dataset
try:
    data = load_dataset("mnist", folder=Path(os.environ["MNIST_DATA_DIR"]))
except DatasetError as error:
    sys.exit(str(error))
print(f"{len(data.train_images):,} training images, {len(data.test_images):,} test images")
P
  dataset=mnist
else
  echo "MNIST is not to be had here. The demo goes on with --dataset digits: 1,797 real digits that come with scikit-learn."
  dataset=digits
fi

say "mnist-client up            (server and one worker; its log is .demo/up.log)"
mnist-client up --workers 1 >.demo/up.log 2>&1 &
stack=$!
stop() { kill -INT "$stack" 2>/dev/null && wait "$stack" || true; }
trap stop EXIT
ready() { mnist-client workers --json 2>/dev/null | grep -q '"idle"'; }
for _ in $(seq 120); do
  ready && break
  kill -0 "$stack" 2>/dev/null || { cat .demo/up.log >&2; exit 1; }
  sleep 0.5
done
ready || { cat .demo/up.log >&2; exit 1; }
mnist-client workers

say "mnist-client submit train --epochs $epochs --dataset $dataset --follow"
mnist-client submit train --epochs "$epochs" --dataset "$dataset" --follow

say "mnist-client evaluate last"
mnist-client evaluate last

say "mnist-client status"
mnist-client status

say "Stopping everything"
trap - EXIT
kill -INT "$stack"
wait "$stack"
echo "Done. The checkpoints and the model are in .demo/runs."
