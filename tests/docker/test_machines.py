"""Two machines, rehearsed as two Compose projects: the second has of the first a TLS port and the volume, no more."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tests.docker.project import Project, about, container_of, docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(2700)]

Saw = Callable[[str, object], None]
Start = Callable[..., Project]
OVERLAYS = Path("deploy") / "compose"
RUN = ("--dataset", "digits", "--epochs", "40", "--checkpoint-every-seconds", "1")


@pytest.fixture
def tls_dir(tmp_path: Path) -> Path:
    """A server's certificate, as an operator would lay it out; the key is for the uid of Redis."""
    folder = tmp_path / "tls"
    folder.mkdir()
    authority = trustme.CA()
    certificate = authority.issue_cert("first.example")
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    certificate.private_key_pem.write_to_path(str(folder / "server.key"))
    for number, part in enumerate(certificate.cert_chain_pems):
        part.write_to_path(str(folder / "server.crt"), append=number > 0)
    subprocess.run(["chown", "-R", "999:999", str(folder)], check=True)
    for file in (folder / "ca.crt", folder / "server.crt"):
        file.chmod(0o644)
    folder.chmod(0o755)
    tmp_path.chmod(0o755)
    return folder


def test_a_run_whose_machine_dies_goes_on_on_another(
    start_project: Start, tls_dir: Path, tmp_path: Path, record_property: Saw
) -> None:
    storage = tmp_path / "shared"
    storage.mkdir()
    subprocess.run(["chown", "10001:10001", str(storage)], check=True)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)  # pytest's folders are for their owner alone
    shared = {"MNIST_STORAGE": str(storage)}
    address = docker("network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}")
    first = start_project(
        workers=1,
        files=(OVERLAYS / "primary.yml",),
        variables=shared | {"MNIST_TLS_DIR": str(tls_dir), "MNIST_TLS_ADDRESS": address, "MNIST_TLS_PORT": "16380"},
    )
    password = tmp_path / "worker.password"
    password.write_text(first.compose("exec", "-T", "redis", "cat", "/run/roles/worker/password"))
    subprocess.run(["chown", "10001", str(password)], check=True)
    password.chmod(0o400)

    # The second machine knows the first by its name.
    hosts = tmp_path / "hosts.yml"
    hosts.write_text(f'services: {{worker: {{extra_hosts: ["first.example:{address}"]}}}}\n')
    second = start_project(
        "worker",
        workers=1,
        asks=False,
        files=(OVERLAYS / "remote.yml", hosts),
        variables=shared
        | {
            "MNIST_BROKER_URL": "rediss://worker@first.example:16380/0?ssl_ca_certs=/run/ca.crt",
            "MNIST_PASSWORD_FILE": str(password),
            "MNIST_CA_FILE": str(tls_dir / "ca.crt"),
        },
    )
    first.wait_for_workers(2)
    networks = {name for one in second.containers("worker") for name in about(one)["NetworkSettings"]["Networks"]}
    assert networks == {f"{second.name}_downloads"}

    # The first machine's worker sleeps, so that the run begins on the second; then the second dies.
    mine = {one["name"] for one in first.present() if one["host"] in {c[:12] for c in first.containers("worker")}}
    first.operate("workers", "drain", *mine)
    run_id = first.submit(*RUN)
    before = first.wait_for_checkpoint(run_id)
    assert before["worker"] not in mine
    first.operate("workers", "undrain", *mine)
    started = time.monotonic()
    docker("kill", container_of(before))
    after = first.wait_for_attempt(run_id, 2, seconds=60)
    resumed = time.monotonic() - started
    assert after["worker"] in mine
    record = first.wait_for_success(run_id)
    assert record["attempt"] == 2
    record_property("saw", f"two projects, Redis over TLS; seen resumed on the other after {resumed:.1f} s")
