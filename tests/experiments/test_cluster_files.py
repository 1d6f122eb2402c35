"""The files for clusters: Ray and KubeRay accept them, their commands and configurations are real."""

from __future__ import annotations

import os
from copy import deepcopy
from pathlib import Path as FilePath
from typing import Any

import jsonschema
import needs
import pytest
import yaml
from kuberay_fields import OBJECTS
from stated_commands import commands_of, indented_in_comments, parse_ray

import pathways.experiments
from pathways.experiments.config import config_from

REPOSITORY = FilePath(__file__).parent.parent.parent
FOLDER = REPOSITORY / "experiments" / "cluster"
FILES = sorted(FOLDER.glob("*.yaml"))
LAUNCHED = ["aws", "machines"]
FIRST_STARTS = "setup_commands", "head_setup_commands", "head_start_ray_commands", "worker_start_ray_commands"
CRDS = "PATHWAYS_KUBERAY_CRDS"
"""The variable that names a folder with `ray.io_rayclusters.yaml` and `ray.io_rayjobs.yaml` of a KubeRay release."""

parametrize_files = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def launched(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def manifests() -> dict[tuple[str, str], dict[str, Any]]:
    """The objects of `kuberay.yaml`, by kind and name."""
    found = [item for item in yaml.safe_load_all((FOLDER / "kuberay.yaml").read_text()) if item]
    return {(item["kind"], item["metadata"]["name"]): item for item in found}


def calls(file: FilePath) -> list[tuple[str, list[str]]]:
    """What a file calls: in its comments, its lists of commands, and what Kubernetes is to run."""
    text = file.read_text()
    lines = [indented_in_comments(text)]
    for item in yaml.safe_load_all(text):
        lines += [line for key in FIRST_STARTS for line in item.get(key, ())]
        lines.append(item.get("spec", {}).get("entrypoint", ""))
    return [call for line in lines for call in commands_of(line)]


# -- Ray's launcher -----------------------------------------------------------------------------------------


def accepted(config: dict[str, Any]) -> dict[str, Any]:
    """What Ray makes of a configuration of its launcher, checked as `ray up` does."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(deepcopy(config))
    validate_config(prepared)
    return prepared


@pytest.mark.parametrize("name", LAUNCHED)
def test_ray_accepts_a_file_for_its_launcher(name: str) -> None:
    prepared = accepted(launched(name))
    assert prepared["max_workers"] == 9  # with the head ten nodes
    assert sum(kind["max_workers"] for kind in prepared["available_node_types"].values()) == 9
    assert sum(kind["min_workers"] for kind in prepared["available_node_types"].values()) >= 1


@pytest.mark.parametrize("name", LAUNCHED)
@pytest.mark.parametrize("wrong", ["max_nodes", "setup_command", "docker_image"])
def test_ray_refuses_a_key_that_it_does_not_know(name: str, wrong: str) -> None:
    with pytest.raises(jsonschema.ValidationError, match=wrong):
        accepted({**launched(name), wrong: []})


def test_ray_refuses_more_nodes_to_begin_with_than_there_may_be() -> None:
    config = launched("aws")
    config["available_node_types"]["trainer"]["min_workers"] = 10
    with pytest.raises(ValueError, match="max_workers"):
        accepted(config)


@pytest.mark.parametrize("name", LAUNCHED)
def test_all_nodes_share_a_token_and_their_versions(name: str) -> None:
    config = launched(name)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    options = config.get("docker", {}).get("run_options", ())
    started = [line for key in FIRST_STARTS[2:] for line in config[key] if "ray start" in line]
    assert len(started) == 2
    assert "--env RAY_AUTH_MODE=token" in options or all("RAY_AUTH_MODE=token" in line for line in started)
    pinned = dict(line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().split() if "==" in line)
    [install] = [line for line in config["setup_commands"] if "pip install" in line]
    assert f"ray=={pinned['ray']}" in install
    assert f"torch=={pinned['torch']}" in install
    assert "evolving-pathways[cluster,postgresql]" in install
    if options:
        assert config["docker"]["image"] == f"rayproject/ray:{pinned['ray']}-py311"


# -- KubeRay ------------------------------------------------------------------------------------------------


def check(item: dict[str, Any]) -> None:
    """A `ValidationError` where an object of the API has a field too many, too few, or of another type."""
    jsonschema.validate(item, OBJECTS[item["kind"]])


def test_manifests_use_fields_that_there_are() -> None:
    found = manifests()
    assert {kind for kind, _ in found} == set(OBJECTS)
    for item in found.values():
        check(item)


@pytest.mark.parametrize(
    ("key", "place", "wrong"),
    [
        (("RayCluster", "pathways"), ("spec",), "headGroup"),
        (("RayCluster", "pathways"), ("spec", "headGroupSpec", "template", "spec", "containers", 0), "imagePulPolicy"),
        (("RayJob", "letters"), ("spec",), "entryPoint"),
        (("StatefulSet", "pathways-ledger"), ("spec", "template", "spec"), "volume"),
    ],
)
def test_a_wrong_field_of_a_manifest_is_found(key: tuple[str, str], place: tuple[Any, ...], wrong: str) -> None:
    item = manifests()[key]
    inner: Any = item
    for step in place:
        inner = inner[step]
    inner[wrong] = "Always"
    with pytest.raises(jsonschema.ValidationError, match=wrong):
        check(item)


def test_rays_autoscaler_reads_the_cluster() -> None:
    """Ray derives its configuration from the object that KubeRay stores, and checks it against its own schema."""
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr as derived

    cluster = manifests()["RayCluster", "pathways"]
    cluster["metadata"]["namespace"] = "default"
    config = derived(cluster)
    assert config["max_workers"] == 9
    trainers, head = config["available_node_types"]["trainers"], config["available_node_types"]["headgroup"]
    assert head["resources"]["CPU"] == 0
    [job] = [item for (kind, _), item in manifests().items() if kind == "RayJob"]
    words = job["spec"]["entrypoint"].split()
    workers = int(words[words.index("--workers") + 1])
    assert workers == trainers["max_workers"] * trainers["resources"]["CPU"]
    assert trainers["min_workers"] >= 1

    cluster["spec"]["workerGroupSpecs"][0]["minReplicas"] = "two"
    with pytest.raises(jsonschema.ValidationError, match="two"):
        derived(cluster)


def test_manifests_name_each_other() -> None:
    found = manifests()
    cluster, job = found["RayCluster", "pathways"]["spec"], found["RayJob", "letters"]["spec"]
    assert ("RayCluster", job["clusterSelector"]["ray.io/cluster"]) in found
    pod = cluster["headGroupSpec"]["template"]["spec"]
    for volume in pod["volumes"]:
        kind = "ConfigMap" if "configMap" in volume else "PersistentVolumeClaim"
        assert (kind, volume.get("configMap", {}).get("name") or volume["persistentVolumeClaim"]["claimName"]) in found
    assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
    database = found["StatefulSet", "pathways-ledger"]["spec"]
    service = found["Service", database["serviceName"]]["spec"]
    assert service["selector"] == database["selector"]["matchLabels"] == database["template"]["metadata"]["labels"]
    assert f"@{database['serviceName']}/" in job["entrypoint"]
    trainers = cluster["workerGroupSpecs"][0]["template"]["spec"]
    assert trainers["containers"][0]["image"] == pod["containers"][0]["image"]
    image = f"rayproject/ray:{cluster['rayVersion']}-py311"
    assert image in (FOLDER / "kuberay.yaml").read_text()
    parse_ray(["start", "--head", *(f"--{key}" if value == "true" else f"--{key}={value}"
                                    for key, value in cluster["headGroupSpec"]["rayStartParams"].items())])  # fmt: skip


# -- KubeRay's own schema, where it is given ----------------------------------------------------------------


def strict(schema: Any) -> Any:
    """A schema in which fields that it does not name are wrong, as with `kubectl apply --validate=strict`."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(part) for key, part in schema.items()}
    open_ended = {"additionalProperties", "x-kubernetes-preserve-unknown-fields"} & set(schema)
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not open_ended:
        made["additionalProperties"] = False
    return made


@pytest.fixture(scope="module")
def crds() -> dict[str, Any]:
    """The schemas of KubeRay's objects, by kind, and of the parts of Kubernetes' that they hold."""
    folder = FilePath(os.environ.get(CRDS, ""))
    files = [folder / f"ray.io_{kind}.yaml" for kind in ("rayclusters", "rayjobs")]
    if not os.environ.get(CRDS) or not all(file.is_file() for file in files):
        needs.lack("kuberay", f"{CRDS} names no folder with {' and '.join(file.name for file in files)}")
    found: dict[str, Any] = {}
    for file in files:
        crd = yaml.load(file.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        [version] = [v for v in crd["spec"]["versions"] if v["name"] == "v1"]
        found[crd["spec"]["names"]["kind"]] = strict(version["schema"]["openAPIV3Schema"])
    head = found["RayCluster"]["properties"]["spec"]["properties"]["headGroupSpec"]["properties"]
    found["template"], found["Service"] = head["template"], head["headService"]
    volumes = head["template"]["properties"]["spec"]["properties"]["volumes"]["items"]["properties"]
    found["claim"] = volumes["ephemeral"]["properties"]["volumeClaimTemplate"]["properties"]["spec"]
    return found


def own(schema: dict[str, Any], item: Any) -> None:
    jsonschema.validate(item, schema)


def test_kuberays_own_schema_accepts_the_manifests(crds: dict[str, Any]) -> None:
    for (kind, _), item in manifests().items():
        item["metadata"] = {}  # which these schemas leave to Kubernetes
        if kind in crds:
            own(crds[kind], item)
        elif kind == "PersistentVolumeClaim":
            own(crds["claim"], item["spec"])
        elif kind == "StatefulSet":
            own(crds["template"], item["spec"]["template"])
            own(crds["claim"], item["spec"]["volumeClaimTemplates"][0]["spec"])


@pytest.mark.parametrize("place", [("spec",), ("spec", "workerGroupSpecs", 0, "template", "spec", "containers", 0)])
def test_kuberays_own_schema_refuses_a_wrong_field(crds: dict[str, Any], place: tuple[Any, ...]) -> None:
    item = {**manifests()["RayCluster", "pathways"], "metadata": {}}
    inner: Any = item
    for step in place:
        inner = inner[step]
    inner["imagePulPolicy"] = "Always"
    with pytest.raises(jsonschema.ValidationError, match="imagePulPolicy"):
        own(crds["RayCluster"], item)


# -- commands and configurations ----------------------------------------------------------------------------


@parametrize_files
def test_commands_of_ray_are_ones_that_ray_reads(file: FilePath) -> None:
    called = [arguments for program, arguments in calls(file) if program == "ray"]
    for arguments in called:
        parse_ray(arguments)
    if file.stem in LAUNCHED:
        assert {"get-auth-token", "up", "down", "start"} <= {arguments[0] for arguments in called}


def test_what_kubernetes_is_to_run_reads_a_configuration_that_is_there() -> None:
    found = manifests()
    [(_, arguments)] = list(commands_of(found["RayJob", "letters"]["spec"]["entrypoint"]))
    folder, _, name = arguments[1].rpartition("/")
    pod = found["RayCluster", "pathways"]["spec"]["headGroupSpec"]["template"]["spec"]
    mounted = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    [volume] = [volume for volume in pod["volumes"] if volume["name"] == mounted[folder]]
    text = found["ConfigMap", volume["configMap"]["name"]]["data"][name]
    config = config_from(yaml.safe_load(text), name)
    out = arguments[arguments.index("--out") + 1]
    assert out == f"/runs/{config.name}"
    assert out.rpartition("/")[0] in mounted


def test_files_ship_with_the_package() -> None:
    import tomllib

    data = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    shipped = {file for pattern in data["pathways.experiments"] for file in (REPOSITORY / "experiments").glob(pattern)}
    assert set(FILES) <= shipped
    assert len(FILES) == 3
    assert FilePath(pathways.experiments.__file__).parent.joinpath("cluster").is_dir()
