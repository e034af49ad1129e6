"""The fields of KubeRay's RayJob (ray.io/v1) as a JSON schema, without those of a pod.

Looked up in ray-operator/apis/ray/v1/rayjob_types.go and raycluster_types.go of ray-project/kuberay
(commit 0057210, 2025). Pod templates are Kubernetes' own: `kubernetes-validate` has their schema.
"""

from typing import Any

TEXT, TEXTS = {"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}
WHOLE, NUMBER, SWITCH = {"type": "integer"}, {"type": "number"}, {"type": "boolean"}
POD = {"type": "object", "required": ["spec"]}


def fields(required: tuple[str, ...] = (), **known: dict[str, Any]) -> dict[str, Any]:
    """An object that has these fields and no other."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": known,
    }


HEAD = fields(
    ("rayStartParams", "template"),
    serviceType=TEXT,
    headService={"type": "object"},
    enableIngress=SWITCH,
    rayStartParams=TEXTS,
    template=POD,
)
WORKERS = fields(
    ("groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"),
    groupName=TEXT,
    replicas=WHOLE,
    minReplicas=WHOLE,
    maxReplicas=WHOLE,
    numOfHosts=WHOLE,
    rayStartParams=TEXTS,
    template=POD,
    scaleStrategy={"type": "object"},
)
CLUSTER = fields(
    ("headGroupSpec",),
    headGroupSpec=HEAD,
    workerGroupSpecs={"type": "array", "items": WORKERS},
    rayVersion=TEXT,
    enableInTreeAutoscaling=SWITCH,
    autoscalerOptions={"type": "object"},
    headServiceAnnotations=TEXTS,
    suspend=SWITCH,
)
JOB = fields(
    activeDeadlineSeconds=WHOLE,
    backoffLimit=WHOLE,  # from KubeRay 1.2 on
    rayClusterSpec=CLUSTER,
    submitterPodTemplate=POD,
    metadata=TEXTS,
    clusterSelector=TEXTS,
    submitterConfig={"type": "object"},
    managedBy=TEXT,
    deletionStrategy={"type": "object"},
    entrypoint=TEXT,
    runtimeEnvYAML=TEXT,
    jobId=TEXT,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode"]},
    entrypointResources=TEXT,
    entrypointNumCpus=NUMBER,
    entrypointNumGpus=NUMBER,
    ttlSecondsAfterFinished=WHOLE,
    shutdownAfterJobFinishes=SWITCH,
    suspend=SWITCH,
)
RAY_JOB = fields(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata={"type": "object", "required": ["name"]},
    spec=JOB,
)
