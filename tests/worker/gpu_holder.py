"""Claims one of some made-up GPUs, says which, and holds it until it is killed.

Usage: python -m tests.worker.gpu_holder FOLDER POLICY WORKER UUID...
"""

import os
import sys
import time
from pathlib import Path

from mnist_worker.gpu_claim import Gpu, claim_gpu, read_policy, show_only

folder, policy, worker, *uuids = sys.argv[1:]
claim = claim_gpu(
    Path(folder),
    [Gpu(uuid, "a made-up GPU") for uuid in uuids],
    policy=read_policy(policy),
    worker=worker,
    on_wait=lambda: print("waiting", flush=True),
)
show_only(claim)
if os.fork() == 0:  # the pool process: it inherits the claim
    print(f"shown {os.environ['CUDA_VISIBLE_DEVICES'] or 'none'}", flush=True)
    time.sleep(600)
time.sleep(600)
