"""The fields of KubeRay's and Kubernetes' objects that our manifest may use, as a JSON schema: all others are wrong.

Written by hand from their API references (KubeRay 1.7, `ray.io/v1`), and only as large as the manifest needs: a field
that it takes up is added here. KubeRay's own schema, of 43,000 lines, is not kept here: `test_cluster_files.py` checks
against it where it is given.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
NUMBER: Schema = {"type": "integer", "minimum": 0}
TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}


def fields(required: Schema, **optional: Schema) -> Schema:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def listed(item: Schema) -> Schema:
    """At least one."""
    return {"type": "array", "items": item, "minItems": 1}


def exactly(text: str) -> Schema:
    """This text only."""
    return {"const": text}


METADATA = fields({"name": {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}})
AMOUNTS = fields({}, cpu=TEXT, memory=TEXT, storage=TEXT)
CLAIM = fields({"accessModes": listed(TEXT), "resources": fields({"requests": AMOUNTS})})
SECRET_KEY = fields({"name": TEXT, "key": TEXT})
FROM_SECRET = fields({"name": TEXT, "valueFrom": fields({"secretKeyRef": SECRET_KEY})})
ENV = {"oneOf": [fields({"name": TEXT, "value": TEXT}), FROM_SECRET]}
CONTAINER = fields(
    {"name": TEXT, "image": TEXT},
    ports=listed(fields({"containerPort": NUMBER}, name=TEXT)),
    env=listed(ENV),
    resources=fields({"limits": AMOUNTS, "requests": AMOUNTS}),
    readinessProbe=fields({"exec": fields({"command": listed(TEXT)})}),
    volumeMounts=listed(fields({"name": TEXT, "mountPath": TEXT})),
)
VOLUME = fields({"name": TEXT}, persistentVolumeClaim=fields({"claimName": TEXT}), configMap=fields({"name": TEXT}))
POD = fields(
    {"containers": listed(CONTAINER)}, volumes=listed(VOLUME), securityContext=fields({"fsGroup": NUMBER})
)
TEMPLATE = fields({"spec": POD}, metadata=fields({"labels": TEXTS}))
HEAD = fields({"template": TEMPLATE}, rayStartParams=TEXTS)
GROUP = fields(
    {"groupName": TEXT, "minReplicas": NUMBER, "maxReplicas": NUMBER, "template": TEMPLATE},
    replicas=NUMBER,
    rayStartParams=TEXTS,
)
AUTOSCALER = fields({}, version={"enum": ["v1", "v2"]}, idleTimeoutSeconds=NUMBER)
CLUSTER = fields(
    {"headGroupSpec": HEAD},
    rayVersion=TEXT,
    authOptions=fields({"mode": {"enum": ["disabled", "token"]}}),
    enableInTreeAutoscaling={"type": "boolean"},
    autoscalerOptions=AUTOSCALER,
    workerGroupSpecs=listed(GROUP),
)
STATEFUL_SET = fields(
    {
        "serviceName": TEXT, "selector": fields({"matchLabels": TEXTS}), "template": TEMPLATE,
        "volumeClaimTemplates": listed(fields({"metadata": METADATA, "spec": CLAIM})),
    },
    replicas=NUMBER,
)  # fmt: skip
SERVICE = fields({"selector": TEXTS, "ports": listed(fields({"port": NUMBER}, name=TEXT))}, clusterIP=exactly("None"))


def of_kind(version: str, kind: str, **rest: Schema) -> Schema:
    """An object of the API."""
    return fields({"apiVersion": exactly(version), "kind": exactly(kind), "metadata": METADATA, **rest})


OBJECTS: dict[str, Schema] = {
    "ConfigMap": of_kind("v1", "ConfigMap", data=TEXTS),
    "PersistentVolumeClaim": of_kind("v1", "PersistentVolumeClaim", spec=CLAIM),
    "Service": of_kind("v1", "Service", spec=SERVICE),
    "StatefulSet": of_kind("apps/v1", "StatefulSet", spec=STATEFUL_SET),
    "RayCluster": of_kind("ray.io/v1", "RayCluster", spec=CLUSTER),
    "RayJob": of_kind("ray.io/v1", "RayJob", spec=fields({"entrypoint": TEXT, "clusterSelector": TEXTS})),
}
