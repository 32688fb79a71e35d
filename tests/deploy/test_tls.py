"""`rediss://`, with a certificate that the test has made itself, for client and worker alike."""

import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from redis import Redis

from tests.conftest import Server
from tests.deploy.tls_proxy import TlsProxy
from tests.processes import Worker

COMMAND = Path(sys.executable).with_name("mnist-client")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.crt"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def front(authority: trustme.CA, server: Server) -> Iterator[TlsProxy]:
    """Has a certificate for 127.0.0.1, and for no name."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    proxy = TlsProxy(server.port, context)
    yield proxy
    proxy.close()


@pytest.fixture
def client(environment: dict[str, str]) -> Callable[[str, *tuple[str, ...]], subprocess.CompletedProcess[str]]:
    def call(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(COMMAND), *arguments],
            env=environment | {"MNIST_BROKER_URL": url},
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )

    return call


def test_client_and_worker_do_a_run_over_tls(
    front: TlsProxy,
    ca_file: Path,
    server: Server,
    client: Callable[..., subprocess.CompletedProcess[str]],
    start_worker: Callable[..., Worker],
) -> None:
    url = f"rediss://127.0.0.1:{front.port}/0?ssl_ca_certs={ca_file}"
    worker = start_worker("worker-1", server, MNIST_BROKER_URL=url)
    with Redis(port=server.port, decode_responses=True) as direct:
        worker.wait_until_ready(direct)
    done = client(url, "submit", "train", "--dataset", "digits", "--epochs", "2", "--log-interval", "1", "--follow")
    assert done.returncode == 0, done.stderr + worker.log
    assert worker.terminate() == 0


@pytest.mark.parametrize(
    ("host", "trusted", "reason"),
    [("127.0.0.1", False, "certificate verify failed"), ("localhost", True, "certificate")],
    ids=["an authority that nobody knows", "a certificate for another name"],
)
def test_who_cannot_prove_who_it_is_gets_no_password(
    front: TlsProxy,
    ca_file: Path,
    client: Callable[..., subprocess.CompletedProcess[str]],
    host: str,
    trusted: bool,
    reason: str,
) -> None:
    query = f"?ssl_ca_certs={ca_file}" if trusted else ""
    done = client(f"rediss://client:secret@{host}:{front.port}/0{query}", "status")
    assert done.returncode == 105
    assert reason in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_certificate_file_that_is_not_there_is_said(
    front: TlsProxy, client: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = client(f"rediss://127.0.0.1:{front.port}/0?ssl_ca_certs={tmp_path}/nothing", "status")
    assert done.returncode in (2, 105)
    assert "Traceback" not in done.stderr
