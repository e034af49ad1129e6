"""What is shipped for clusters, by the checks of those who made them; no Ray is started.

Linters and schemas that are not installed skip: `pip install 'segnas[release]'` brings them.
"""

import os
import shutil
import subprocess
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from tests.nas.engine.kuberay import RAY_JOB

ROOT = Path(__file__).parents[3]
CLUSTER = ROOT / "configs" / "cluster"
KUBERNETES = "1.37"


@pytest.fixture
def manifests():
    """The volume claim and the job."""
    return list(yaml.safe_load_all((CLUSTER / "rayjob.yaml").read_text()))


def test_the_rayjob_has_fields_of_kuberay_alone(manifests):
    validator = pytest.importorskip("jsonschema").Draft202012Validator(RAY_JOB)
    job = manifests[1]
    assert [error.message for error in validator.iter_errors(job)] == []
    for wrong in ({"entryPoint": "x"}, {"backoffLimit": "3"}, {"submissionMode": "Job"}):
        changed = deepcopy(job)
        changed["spec"] |= wrong
        assert not validator.is_valid(changed)


def test_the_rayjob_fits_the_schema_of_kuberay_itself(manifests):
    """SEGNAS_KUBERAY_CRD: helm-chart/kuberay-operator/crds/ray.io_rayjobs.yaml of KubeRay."""
    file = Path(os.environ.get("SEGNAS_KUBERAY_CRD", "none"))
    if not file.is_file():
        pytest.skip("no schema of KubeRay; set SEGNAS_KUBERAY_CRD to its file")
    versions = yaml.safe_load(file.read_text())["spec"]["versions"]
    schema = next(v["schema"]["openAPIV3Schema"] for v in versions if v["name"] == "v1")
    validator = pytest.importorskip("jsonschema").Draft202012Validator(schema)
    assert [error.message for error in validator.iter_errors(manifests[1])] == []


def test_claim_and_pods_fit_the_schema_of_kubernetes(manifests):
    kubernetes = pytest.importorskip("kubernetes_validate")
    claim, job = manifests
    kubernetes.validate(claim, KUBERNETES, strict=True)
    cluster = job["spec"]["rayClusterSpec"]
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "template": group["template"]}
        kubernetes.validate(pod, KUBERNETES, strict=True)
    pod["template"]["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(kubernetes.ValidationError):
        kubernetes.validate(pod, KUBERNETES, strict=True)


def test_the_manifest_names_the_versions_that_are_shipped(manifests):
    cluster = manifests[1]["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == version("ray")
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    images = {c["image"] for g in groups for c in g["template"]["spec"]["containers"]}
    (image,) = images
    assert image.rpartition(":")[2] == version("segnas")
    assert (ROOT / "docs" / "cluster.md").read_text().count(image) == 2  # tagged and pushed


def linted(tool: str, *files: Path) -> str:
    program = shutil.which(tool)
    if program is None:
        pytest.skip(f"{tool} is not installed")
    return subprocess.run([program, *files], capture_output=True, text=True).stdout


def test_the_dockerfile_has_no_fault_that_hadolint_knows():
    assert linted("hadolint", ROOT / "Dockerfile") == ""


def test_the_scripts_have_no_fault_that_shellcheck_knows():
    assert linted("shellcheck", CLUSTER / "slurm.sh") == ""
