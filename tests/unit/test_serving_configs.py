"""The files for the real TensorFlow Serving parse and agree with each other."""

from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from serving.local.config import VersionPolicy, load_model_config

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
SERVING = Path(__file__).resolve().parents[2] / "serving"


def _parse_text(content: str, messages: dict[str, list[tuple[str, int, str]]], root: str):
    """Parses text proto by a message declared here: the wheel has none for these files."""
    file = descriptor_pb2.FileDescriptorProto(name="check.proto", package="check", syntax="proto3")
    kinds = {"int64": 3, "string": 9, "bool": 8}
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            added = message.field.add(name=field, number=number, label=1, type=kinds.get(kind, 11))
            if kind not in kinds:
                added.type_name = f".check.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"check.{root}"))
    return text_format.Parse(content, found())


def test_models_config():
    (model,) = load_model_config(SERVING / "models.config")
    assert (model.name, str(model.base_path)) == ("addrl", "/models/addrl")
    assert model.policy == VersionPolicy(latest=1) and not model.labels


def test_canary_config_labels_only_versions_that_it_serves():
    (model,) = load_model_config(SERVING / "models.canary.config")
    assert set(model.labels) == {"stable", "canary"}
    assert set(model.labels.values()) <= set(model.policy.specific)


@pytest.mark.parametrize("content", ["nonsense {", "", 'model_config_list { config { nam: "a" } }'])
def test_bad_model_config_is_one_readable_error(tmp_path, content):
    file = tmp_path / "models.config"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"--model_config_file .*Received: "):
        load_model_config(file)


def test_batching_parameters():
    # Names and numbers of BatchingParameters in session_bundle_config.proto.
    wrapped = ["max_batch_size", "batch_timeout_micros", "max_enqueued_batches"]
    fields = [(name, number, "Int64Value") for number, name in enumerate(wrapped, start=1)]
    fields += [("num_batch_threads", 4, "Int64Value"), ("pad_variable_length_inputs", 7, "bool")]
    messages = {"Int64Value": [("value", 1, "int64")], "BatchingParameters": fields}
    content = (SERVING / "batching_parameters.txt").read_text()
    parsed = _parse_text(content, messages, "BatchingParameters")
    assert parsed.max_batch_size.value > 0 and parsed.num_batch_threads.value > 0
    assert parsed.pad_variable_length_inputs


def test_monitoring_config():
    messages = {
        "PrometheusConfig": [("enable", 1, "bool"), ("path", 2, "string")],
        "MonitoringConfig": [("prometheus_config", 1, "PrometheusConfig")],
    }
    content = (SERVING / "monitoring.config").read_text()
    parsed = _parse_text(content, messages, "MonitoringConfig")
    assert parsed.prometheus_config.enable
    deployment = yaml.safe_load((SERVING / "k8s" / "deployment.yaml").read_text())
    notes = deployment["spec"]["template"]["metadata"]["annotations"]
    assert notes["prometheus.io/path"] == parsed.prometheus_config.path


def test_compose_mounts_what_it_names():
    service = yaml.safe_load((SERVING / "docker-compose.yml").read_text())["services"]["serving"]
    targets = {volume.removesuffix(":ro").rpartition(":")[2] for volume in service["volumes"]}
    for flag in service["command"]:
        value = flag.partition("=")[2]
        assert not value.startswith("/") or value in targets
    for volume in service["volumes"]:
        if volume.startswith("./"):
            assert (SERVING / volume.partition(":")[0]).is_file()
    assert "--enable_grpc_healthcheck_service=true" in service["command"]


def test_kubernetes_files_fit_together():
    load = {
        path.stem: yaml.safe_load(path.read_text()) for path in (SERVING / "k8s").glob("*.yaml")
    }
    assert set(load) == {"configmap", "deployment", "service"}
    pod = load["deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert load["service"]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert container["readinessProbe"]["grpc"]["port"] == ports["grpc"] == 8500
    assert {p["targetPort"] for p in load["service"]["spec"]["ports"]} <= set(ports)
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["spec"]["volumes"]}
    assert "--enable_grpc_healthcheck_service=true" in container["args"]


def test_config_map_holds_the_same_as_the_files(tmp_path):
    data = yaml.safe_load((SERVING / "k8s" / "configmap.yaml").read_text())["data"]
    copy = tmp_path / "models.config"
    copy.write_text(data["models.config"])
    assert load_model_config(copy) == load_model_config(SERVING / "models.canary.config")
    original = (SERVING / "monitoring.config").read_text().splitlines()
    kept = [line for line in original if not line.startswith("#")]
    assert data["monitoring.config"].splitlines() == kept
