"""TAB, as a shell asks: by the protocol that the printed script speaks."""

import socket
import subprocess
from collections.abc import Callable
from typing import get_args

import pytest

from mnist_client import completion
from mnist_client.wish_options import PRIORITIES
from mnist_shared.contracts import config
from mnist_shared.contracts.requests import TASK_NAMES, TrainRequest
from mnist_shared.contracts.runs import Priority, RunState, SubmitOptions
from mnist_shared.storage.runs import RunStore
from tests.client.conftest import COMMAND, Cli


def offered(cli: Cli, *words: str, **variables: str) -> list[str]:
    """What TAB offers after `mnist-client` and these words, the last of them begun."""
    done = cli(
        _MNIST_CLIENT_COMPLETE="complete_bash",
        COMP_WORDS="\n".join(("mnist-client", *words)),
        COMP_CWORD=str(len(words)),
        **{"MNIST_COMPLETION_SECONDS": "20", **variables},  # on a busy machine the usual 0.3 are soon over
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_options_and_fixed_words(lonely: Cli) -> None:
    assert offered(lonely, "fol") == ["follow"]
    assert offered(lonely, "submit", "re") == ["resume"]
    assert offered(lonely, "submit", "train", "--pri") == ["--priority"]
    assert offered(lonely, "submit", "train", "--dataset", "") == list(completion.DATASETS)
    assert offered(lonely, "submit", "train", "--preset", "f") == ["fast"]
    assert offered(lonely, "export", "--format", "") == list(completion.FORMATS)
    assert offered(lonely, "evaluate", "--checkpoint", "b") == ["best"]
    assert offered(lonely, "submit", "train", "--priority", "") == list(PRIORITIES)
    assert offered(lonely, "submit", "--") == ["--help"]


def test_runs_by_name_and_id_and_their_tags(cli: Cli, store: RunStore) -> None:
    request = TrainRequest(config=config.TrainConfig())
    store.submit(request, run_id="abc000000001", options=SubmitOptions(name="brisk-otter", tags=("sweep",)))
    store.submit(request, run_id="abd000000001", options=SubmitOptions(name="calm-heron"))
    assert offered(cli, "follow", "") == ["last", "brisk-otter", "calm-heron"]
    assert offered(cli, "follow", "bri") == ["brisk-otter"]
    assert offered(cli, "wait", "brisk-otter", "ab") == ["abd000000001", "abc000000001"]
    assert offered(cli, "cancel", "--tag", "") == ["sweep"]
    assert offered(cli, "submit", "train", "--after", "calm") == ["calm-heron"]


def test_the_global_options_tell_which_broker(lonely: Cli, submitted: Callable[..., str], server: object) -> None:
    run_id = submitted(run_id="abc000000001")
    assert offered(lonely, "--broker", server.url, "status", "abc") == [run_id]  # type: ignore[attr-defined]


def test_nobody_is_told_of_a_broker_that_is_away_or_silent(lonely: Cli) -> None:
    assert offered(lonely, "follow", "", MNIST_COMPLETION_SECONDS="0.3") == []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        assert offered(lonely, "follow", "", MNIST_BROKER_URL=url, MNIST_COMPLETION_SECONDS="0.3") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell(lonely: Cli, shell: str) -> None:
    done = lonely("completion", shell)
    assert done.returncode == 0
    assert f"_MNIST_CLIENT_COMPLETE=complete_{shell}" in done.stdout
    assert lonely("completion", SHELL=f"/usr/bin/{shell}").stdout == done.stdout


def test_bash_completes_by_the_script(lonely: Cli) -> None:
    program = (
        f'PATH="{COMMAND.parent}:$PATH"; source <(mnist-client completion bash); COMP_WORDS=(mnist-client submit tr); '
        "COMP_CWORD=2; _mnist_client_completion mnist-client; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", program], env=lonely.environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("train\n", "")


def test_a_shell_that_is_not_known(lonely: Cli) -> None:
    done = lonely("completion", "tcsh")
    assert done.returncode == 2
    assert "bash, zsh, fish" in done.stderr


def test_the_words_offered_are_those_of_the_contracts() -> None:
    assert config.DATASET_NAMES == completion.DATASETS
    assert config.PRESET_NAMES == completion.PRESETS
    assert tuple(RunState) == completion.STATES
    assert tuple(TASK_NAMES) == completion.KINDS
    assert set(PRIORITIES) == set(get_args(Priority))
