"""Claims one of some made-up GPUs, says which, and holds it until it is killed.

Usage: python -m tests.worker.gpu_holder FOLDER POLICY WORKER UUID...
"""

import os
import sys
import time
from pathlib import Path

from mnist_worker.choices import read_choice
from mnist_worker.gpu_claim import POLICIES, POLICY_VARIABLE, Gpu, claim_gpu, show_only

folder, policy, worker, *uuids = sys.argv[1:]
claim = claim_gpu(
    Path(folder),
    [Gpu(uuid, "a made-up GPU") for uuid in uuids],
    policy=read_choice(policy, POLICIES, setting=POLICY_VARIABLE),
    worker=worker,
    on_wait=lambda: print("waiting", flush=True),
)
show_only(claim)
if os.fork() == 0:  # the pool process: it inherits the claim
    print(f"shown {os.environ['CUDA_VISIBLE_DEVICES'] or 'none'}", flush=True)
    time.sleep(600)
time.sleep(600)
