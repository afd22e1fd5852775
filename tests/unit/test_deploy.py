"""What `deploy/` promises: manifests that a current Kubernetes takes, units that run what there is, an image, a Mac's script."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import msgspec
import pytest
import yaml

from api.gateway.nodes import NodesFile
from cli.__main__ import cli
from cli.setup import claude
from shared import config as configuration
from tests.api_process import BusServer, Process
from tests.harness import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
OUR_OWN_MB = 256
"""Supervisor, API and holders of some sessions."""


def documents() -> list[dict[str, Any]]:
    names = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    return [one for name in names for one in yaml.safe_load_all((KUBERNETES / name).read_text())]


def named(kind: str, name: str) -> dict[str, Any]:
    return next(one for one in documents() if (one["kind"], one["metadata"]["name"]) == (kind, name))


def pod(one: dict[str, Any]) -> dict[str, Any]:
    return one["spec"]["template"]["spec"]  # type: ignore[no-any-return]


NODES, GATEWAYS = named("StatefulSet", "pilotlight-node"), named("Deployment", "pilotlight-gateway")


@pytest.mark.parametrize("one", documents(), ids=lambda one: f"{one['kind']} {one['metadata']['name']}")
def test_the_schema_of_a_current_kubernetes_takes_it(one: dict[str, Any]) -> None:
    kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


def test_the_schema_refuses_what_is_wrong() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            {**NODES, "spec": {**NODES["spec"], "replicaz": 3}}, kubernetes_validate.latest_version(), strict=True
        )


def test_every_file_is_applied() -> None:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"} == set(listed)


def test_a_node_keeps_its_volume_its_name_and_its_address() -> None:
    spec = NODES["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert spec["podManagementPolicy"] == "Parallel"
    service = named("Service", spec["serviceName"])["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    assert named("PodDisruptionBudget", "pilotlight-nodes")["spec"]["maxUnavailable"] == 1


def test_turns_get_to_finish_before_a_pod_goes() -> None:
    (node,) = pod(NODES)["containers"]
    program, command, option, seconds = node["lifecycle"]["preStop"]["exec"]["command"]
    assert (program, option) == ("pilotlight", "--timeout")
    assert any(parameter.opts == ["--timeout"] for parameter in cli.commands[command].params)
    assert int(seconds) + 30 <= pod(NODES)["terminationGracePeriodSeconds"]


def test_a_slow_disk_kills_no_conversation() -> None:
    for one in (NODES, GATEWAYS):
        (container,) = pod(one)["containers"]
        assert "livenessProbe" not in container
        assert container["readinessProbe"]["httpGet"]["path"] == "/health"


def test_nobody_is_root_and_nobody_may_become_it() -> None:
    for one in (NODES, GATEWAYS):
        assert pod(one)["securityContext"]["runAsNonRoot"] is True
        assert pod(one)["automountServiceAccountToken"] is False
        (container,) = pod(one)["containers"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_what_is_asked_for_follows_from_the_limits() -> None:
    config = configuration.validate(
        yaml.safe_load(named("ConfigMap", "pilotlight-node")["data"]["config.yaml"]), "the node's"
    )
    (node,) = pod(NODES)["containers"]
    megabytes = int(config.limits.memory_total_gb * 1024) + OUR_OWN_MB
    assert node["resources"]["requests"]["memory"] == node["resources"]["limits"]["memory"] == f"{megabytes}Mi"


def test_the_gateways_find_the_nodes_and_the_files_are_ours() -> None:
    data = named("ConfigMap", "pilotlight-gateway")["data"]
    configuration.validate(yaml.safe_load(data["config.yaml"]), "the gateway's")
    (entry,) = msgspec.yaml.decode(data["nodes.yaml"], type=NodesFile).nodes
    namespace = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["namespace"]
    service = named("Service", "pilotlight-nodes")
    port = service["spec"]["ports"][0]["port"]
    assert entry.dns == f"http://{service['metadata']['name']}.{namespace}.svc.cluster.local:{port}"
    mounted = {mount["mountPath"] for mount in pod(GATEWAYS)["containers"][0]["volumeMounts"]}
    assert str(Path(entry.token_file).parent) in mounted


def test_only_gateways_reach_nodes() -> None:
    rule = named("NetworkPolicy", "pilotlight-nodes")["spec"]
    (ingress,) = rule["ingress"]
    allowed = ingress["from"][0]["podSelector"]["matchLabels"]
    assert allowed == GATEWAYS["spec"]["template"]["metadata"]["labels"]
    assert rule["podSelector"]["matchLabels"] == NODES["spec"]["template"]["metadata"]["labels"]


def test_the_starts_are_shell_and_call_what_there_is() -> None:
    found: set[str] = set()
    for one in ("pilotlight-node", "pilotlight-gateway"):
        for name, text in named("ConfigMap", one)["data"].items():
            if name.startswith("start-"):
                subprocess.run(["sh", "-n"], input=text.encode(), check=True)
                called = set(re.findall(r"pilotlight ([a-z-]+)", text))
                assert called <= set(cli.commands)
                found |= called
    assert found, "no start was found"


def test_units_of_plain_machines_call_what_there_is() -> None:
    units = list((ROOT / "deploy" / "machines").glob("*.service"))
    assert units
    for path in units:
        called = re.findall(r"^Exec\w+=\S*/pilotlight ([a-z-]+)", path.read_text(), re.MULTILINE)
        assert called
        assert set(called) <= set(cli.commands)


CONTAINER = ROOT / "deploy" / "container"
IMAGE = (CONTAINER / "Dockerfile").read_text().replace("\\\n", " ")


def told(instruction: str) -> list[str]:
    """The arguments of each such instruction of the image."""
    return re.findall(rf"^ *{instruction} +(.*)$", IMAGE, re.MULTILINE)


def test_the_linters_find_nothing() -> None:
    for words in (
        ["hadolint", str(CONTAINER / "Dockerfile")],
        ["shellcheck", str(CONTAINER / "start.sh"), str(ROOT / "deploy" / "mac" / "prove.sh")],
    ):
        program = Path(sys.executable).parent / words[0]
        made = subprocess.run([str(program), *words[1:]], capture_output=True, text=True, timeout=60)
        assert made.returncode == 0, made.stdout + made.stderr


def test_the_image_is_nobodys_root_reaps_and_keeps_what_must_stay() -> None:
    assert told("USER") == ["10001:10001"]
    assert json.loads(told("ENTRYPOINT")[0])[:3] == ["tini", "-g", "--"]
    assert json.loads(told("CMD")[-1]) == ["up"]
    assert json.loads(told("VOLUME")[0]) == ["/data", "/projects"]
    assert told("ARG") == [f"CLAUDE_VERSION={claude.PINNED}"]
    spoken = re.findall(r"^!(\S+)$", (CONTAINER / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    assert [name for name in spoken if not (ROOT / name).exists()] == []
    assert {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()} - {"tests", "bench"} <= set(
        spoken
    )


def test_the_image_starts_what_it_says_and_its_health_check_tells(tmp_path: Path) -> None:
    home, bus = tmp_path / "data", BusServer(tmp_path / "data")
    program = tmp_path / "pilotlight"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.defpath}", "HOME": str(tmp_path / "home"), "PILOTLIGHT_HOME": str(home)}
    for _ in range(2):
        made = subprocess.run(["sh", CONTAINER / "start.sh", "up"], env=environment, capture_output=True, text=True)
        assert (made.returncode, made.stdout) == (0, "up\n")
        assert configuration.load(home / "config.yaml", {}).api.host == "0.0.0.0"
    (home / "config.yaml").unlink()

    api = Process(home).wait_until_up()
    try:
        *_, check = json.loads(re.search(r"HEALTHCHECK .*? CMD (\[.*\])", IMAGE)[1])  # type: ignore[index]
        words = [sys.executable, "-c", check.replace(":3001", f":{api.port}")]
        assert subprocess.run(words, timeout=30).returncode == 0
        api.end()
        assert subprocess.run(words, capture_output=True, timeout=30).returncode != 0
    finally:
        api.end()
        bus.close()


def test_the_script_for_a_mac_says_that_this_is_none(tmp_path: Path) -> None:
    (tmp_path / "uname").write_text("#!/bin/sh\necho Linux\n")
    (tmp_path / "uname").chmod(0o755)
    words = ["bash", ROOT / "deploy" / "mac" / "prove.sh"]
    made = subprocess.run(words, env={"PATH": f"{tmp_path}:{os.defpath}"}, capture_output=True, text=True, timeout=30)
    assert made.returncode == 2
    assert "not a Mac" in made.stderr


def test_the_script_for_a_mac_calls_what_there_is() -> None:
    text = (ROOT / "deploy" / "mac" / "prove.sh").read_text()
    assert {name for name in re.findall(r'"\$pilotlight" ([a-z-]+)', text) if not name.startswith("-")} <= set(
        cli.commands
    )
    assert {f"pilotlight.{name}" for name in ("supervisor", "api")} == {
        path.stem for path in (ROOT / "launchd").glob("*.plist")
    }
