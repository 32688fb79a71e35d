"""The alerts, by Prometheus' own tool: each fires when it should, and says what it should."""

import shutil
import subprocess

import pytest

from tests.processes import ROOT

FOLDER = ROOT / "deploy" / "observability"


@pytest.mark.parametrize(
    "words", ["check config prometheus.yml", "check rules alerts.yml", "test rules alerts.test.yml"]
)
def test_promtool_finds_nothing_wrong(words: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; it comes with Prometheus")
    done = subprocess.run([promtool, *words.split()], cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_test() -> None:
    rules, tests = ((FOLDER / name).read_text() for name in ("alerts.yml", "alerts.test.yml"))
    alerts = {line.split()[-1] for line in rules.splitlines() if "- alert:" in line}
    assert alerts
    assert not [alert for alert in alerts if f"- alertname: {alert}\n" not in tests]
