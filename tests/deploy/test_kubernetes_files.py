"""What the Kubernetes manifests promise, read from them: no cluster needed."""

import re
from typing import Any

import pytest
import yaml

from tests.processes import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
DOCUMENTS: list[dict[str, Any]] = [
    document
    for file in sorted(FOLDER.glob("*.yaml"))
    if file.name != "kustomization.yaml"
    for document in yaml.safe_load_all(file.read_text())
]
PODS = {
    document["metadata"]["name"]: document["spec"]
    if document["kind"] == "Pod"
    else document["spec"]["template"]["spec"]
    for document in DOCUMENTS
    if document["kind"] in ("Pod", "Deployment", "StatefulSet")
}


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {document["metadata"]["name"]: document for document in DOCUMENTS if document["kind"] == kind}


@pytest.mark.parametrize("name", PODS)
def test_every_pod_fits_the_restricted_standard(name: str) -> None:
    pod = PODS[name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert "memory" in container["resources"]["limits"]


def test_the_probes_look_at_the_heartbeat_and_stopping_takes_its_time() -> None:
    worker = PODS["worker"]
    (container,) = worker["containers"]
    assert container["startupProbe"]["exec"]["command"] == ["mnist-worker-health", "--ready"]
    assert container["livenessProbe"]["exec"]["command"] == ["mnist-worker-health"]
    assert worker["terminationGracePeriodSeconds"] >= 30


def test_redis_has_the_settings_of_compose() -> None:
    def settings(text: str) -> dict[str, str]:
        lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
        return {name: value for name, value in lines if name not in ("maxmemory", "aclfile")}

    compose = settings((ROOT / "deploy" / "redis" / "redis.conf").read_text())
    assert settings(of_kind("ConfigMap")["redis"]["data"]["redis.conf"]) == compose


def test_scaling_counts_the_queued_and_the_running_by_the_keys_there_are() -> None:
    from mnist_shared.storage.keys import Keys

    spec = of_kind("ScaledObject")["worker"]["spec"]
    names = {trigger["name"]: trigger["metadata"]["listName"] for trigger in spec["triggers"]}
    assert names == {"queued": Keys().queued, "running": Keys().leases}
    assert set(re.findall(r"\w+", spec["advanced"]["scalingModifiers"]["formula"])) == set(names)
    assert spec["scaleTargetRef"]["name"] in of_kind("Deployment")
    authentications = {trigger["authenticationRef"]["name"] for trigger in spec["triggers"]}
    assert authentications == set(of_kind("TriggerAuthentication"))


def test_every_policy_and_budget_selects_pods_that_there_are() -> None:
    for document in [*of_kind("PodDisruptionBudget").values(), *of_kind("NetworkPolicy").values()]:
        spec = document["spec"]
        selector = spec["selector"] if "selector" in spec else spec["podSelector"]
        names = {selector["matchLabels"]["app.kubernetes.io/name"]} if "matchLabels" in selector else set()
        for expression in selector.get("matchExpressions", []):
            names |= set(expression["values"])
        assert names <= set(PODS)


def test_every_file_is_in_the_kustomization_and_every_secret_in_the_manual() -> None:
    (kustomization,) = of_kind_file("kustomization.yaml")
    others = {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml", "client.yaml"}
    assert set(kustomization["resources"]) == others
    manual = (ROOT / "docs" / "operations.md").read_text()
    secrets = {
        volume["secret"]["secretName"] for pod in PODS.values() for volume in pod["volumes"] if "secret" in volume
    }
    assert secrets == {"redis-users", "role-worker", "role-metrics", "role-client"}
    assert "for role in client operator worker metrics" in manual
    assert "redis-users" in manual


def of_kind_file(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))
