"""One module a command. What a command needs beyond typer, it imports when it runs: `--help` answers at once."""
