"""`completion`: the script that teaches a shell to complete this command."""

import os
from typing import Annotated

import typer

from mnist_client.completion import SCRIPT_VARIABLE, one_of

SHELLS = ("bash", "zsh", "fish")


def completion(
    shell: Annotated[
        str | None,
        typer.Argument(
            metavar="SHELL",
            help="bash, zsh, or fish. [default: that of SHELL]",
            show_default=False,
            autocompletion=one_of(*SHELLS),
        ),
    ] = None,
) -> None:
    """Print the script that lets TAB complete commands, runs and more.

    \b
    Example:
      mnist-client completion bash > ~/.local/share/bash-completion/completions/mnist-client
      mnist-client completion zsh > ~/.zfunc/_mnist-client     # a folder of your fpath
      mnist-client completion fish > ~/.config/fish/completions/mnist-client.fish
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined] # it is there, and not listed

    from mnist_shared.errors import InvalidInput

    name = shell or os.path.basename(os.environ.get("SHELL") or "")
    if name not in SHELLS:
        raise InvalidInput(f"There is no completion for {name!r:.40}.", hint=f"Give one of {', '.join(SHELLS)}.")
    print(get_completion_script(prog_name="mnist-client", complete_var=SCRIPT_VARIABLE, shell=name))
