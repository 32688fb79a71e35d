"""`mnist-worker-flower`: Flower, Celery's own monitor, on this project's broker with the workers' transport options.

It shows which workers answer and which tasks they got. What became of a run is not Celery's to know: for that ask
`mnist-client`. Flower's API, which could stop workers, stays off, as it is without a password.
"""

import importlib.util
import sys
from typing import TYPE_CHECKING

from mnist_shared.errors import InvalidInput, MissingPart, MnistError
from mnist_shared.settings import Settings
from mnist_shared.storage.keys import Keys

if TYPE_CHECKING:
    from celery import Celery


def make_flower_app() -> "Celery":
    """The application that Flower looks through.

    Raises:
        InvalidInput: no broker is configured.
        MissingPart: Flower is not installed.
    """
    if importlib.util.find_spec("flower") is None:
        raise MissingPart("Flower is not installed.", hint="Install it with: pip install flower")
    url = Settings.from_environment().broker_url
    if url is None:
        raise InvalidInput("No broker is configured.", hint="Set MNIST_BROKER_URL.")
    from mnist_worker.app import make_app

    app = make_app(url, keys=Keys(), on_unusable=lambda message, reason: None, is_ready=lambda: True)
    # It pops nothing from the queue, so it needs no look at what is popped; and it knows kombu's own transport by name.
    app.conf.broker_transport = None
    return app


def main() -> None:
    """The console script; its arguments are Flower's."""
    try:
        app = make_flower_app()
    except MnistError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    app.start(["flower", *(sys.argv[1:] or ["--address=127.0.0.1", "--port=5555"])])


if __name__ == "__main__":
    main()
