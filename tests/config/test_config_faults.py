"""What is wrong with a configuration is told once, whole, and with the way out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from sockerless_ecs.config import Settings, check_paths, load
from sockerless_ecs.config.schema import EcsSettings, ListenSettings, StoreSettings, keys
from sockerless_ecs.errors import Misconfigured

REQUIRED: Mapping[str, str] = {
    "ecs.region": "us-east-1",
    "ecs.cluster": "sockerless",
    "ecs.subnets": "subnet-abc123",
    "ecs.security_groups": "sg-abc123",
    "ecs.execution_role_arn": "arn:aws:iam::123456789012:role/execution",
}


def _refusal(
    flags: Mapping[str, str] = REQUIRED,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> str:
    with pytest.raises(Misconfigured) as caught:
        load(flags, environment or {}, file, profile_region=lambda _: None)
    return str(caught.value)


def _file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return file


def test_everything_that_is_missing_is_told_at_once_with_three_ways_to_set_it() -> None:
    message = _refusal({})
    for path in REQUIRED:
        key = keys()[path]
        (line,) = (line for line in message.splitlines() if line.startswith(f"  {path} "))
        assert "is required and not set" in line
        assert key.flag in line
        assert key.variable in line
        assert f"`{key.name}` under `ecs:`" in line
    assert "no file was read: there is no /etc/sockerless/sockerless-backend.yaml" in message


def test_faults_of_all_layers_come_in_one_message(tmp_path: Path) -> None:
    message = _refusal(
        {"agent.port": "x"},
        {"SOCKERLESS_ECS_CLUSTR": "c", "SOCKERLESS_LISTEN_INSECURE": "maybe"},
        _file(tmp_path, "ecs: {subnet: [subnet-1], tags: 3}\nstorage: {path: /a}\n"),
    )
    assert "ecs.subnet (in " in message
    assert "did you mean ecs.subnets?" in message
    assert "storage (in " in message
    assert "did you mean store?" in message
    assert (
        "SOCKERLESS_ECS_CLUSTR (in the environment) is not a key: did you mean SOCKERLESS_ECS_CLUSTER?"
        in message
    )
    assert (
        "listen.insecure (from environment SOCKERLESS_LISTEN_INSECURE): 'maybe' is neither true nor false"
        in message
    )
    assert "agent.port (from flag --agent-port): 'x' is not a whole number" in message
    assert "ecs.tags (from file " in message
    assert "ecs.cluster is required" in message


@pytest.mark.parametrize(
    "value", ["true", "[a]", "{a: b}", "null", "7", "0660", "???", "${nothing}", "${oc.env:NO_SUCH}"]
)
def test_what_is_not_text_in_the_file_is_refused_for_a_text_key(tmp_path: Path, value: str) -> None:
    message = _refusal(REQUIRED, file=_file(tmp_path, f"listen:\n  mode: {value}\n"))
    assert "listen.mode" in message
    assert "--listen-mode, SOCKERLESS_LISTEN_MODE, or `mode` under `listen:`" in message


def test_number_where_text_belongs_is_told_about_quotes(tmp_path: Path) -> None:
    assert "write it in quotes" in _refusal(file=_file(tmp_path, "listen: {mode: 0660}"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("agent.port", "'9111'"),
        ("agent.port", "1.5"),
        ("agent.port", "true"),
        ("ecs.assign_public_ip", "1"),
        ("ecs.assign_public_ip", "'yes please'"),
        ("ecs.default_cpu", "'1'"),
        ("ecs.default_cpu", ".nan"),
        ("ecs.subnets", "subnet-1"),
        ("ecs.subnets", "[1]"),
        ("ecs.tags", "[a]"),
        ("ecs.tags", "{a: 1}"),
        ("ecs.tags", "a=b"),
        ("log.level", "verbose"),
        ("images.mirrors", "{docker.io: [a]}"),
    ],
)
def test_wrong_type_in_the_file_names_key_and_file(tmp_path: Path, path: str, value: str) -> None:
    section, name = path.split(".")
    file = _file(tmp_path, f"{section}: {{{name}: {value}}}")
    flags = {one: text for one, text in REQUIRED.items() if one != path}
    message = _refusal(flags, file=file)
    assert f"  {path} (from file {file}): " in message
    assert keys()[path].flag in message


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("ecs.region", "US East"),
        ("ecs.cluster", "a b"),
        ("ecs.subnets", "subnet-1,,subnet-2"),
        ("ecs.subnets", "sg-1"),
        ("ecs.security_groups", "subnet-1"),
        ("ecs.execution_role_arn", "execution"),
        ("ecs.task_role_arn", "arn:aws:s3:::bucket"),
        ("ecs.efs_filesystem_id", "efs"),
        ("ecs.log_group", "a b"),
        ("ecs.log_retention_days", "2"),
        ("ecs.log_mode", "async"),
        ("ecs.assign_public_ip", ""),
        ("ecs.architecture", "amd64"),
        ("ecs.capacity_provider", "EC2"),
        ("ecs.default_cpu", "0"),
        ("ecs.default_cpu", "nan"),
        ("ecs.default_cpu", "32"),
        ("ecs.default_cpu", "0.3"),
        ("ecs.default_memory_mib", "100"),
        ("ecs.default_memory_mib", "3072"),
        ("ecs.platform_version", "newest"),
        ("ecs.tags", "a"),
        ("ecs.tags", "=a"),
        ("ecs.tags", "aws:a=b"),
        ("ecs.tags", "a=<b>"),
        ("ecs.tags", ",".join(f"a{number}=b" for number in range(41))),
        ("ecs.endpoint_url", "127.0.0.1:80"),
        ("ecs.endpoint_url", "http://"),
        ("ecs.endpoint_url", "http://a:99999"),
        ("listen.mode", "rw-rw----"),
        ("listen.mode", "0999"),
        ("listen.mode", ""),
        ("listen.tcp", "9000"),
        ("listen.tcp", ":9000"),
        ("listen.tcp", "localhost:65536"),
        ("listen.tcp", "::1:80"),
        ("store.backend", "postgres"),
        ("store.path", ""),
        ("agent.port", "0"),
        ("agent.port", "65536"),
        ("agent.port", ""),
        ("agent.start_timeout_seconds", "0"),
        ("agent.linger_seconds", "-1"),
        ("agent.repository", "Agent"),
        ("agent.repository", ""),
        ("images.mirrors", "docker.io=mirror"),
        ("images.mirrors", "docker.io="),
        ("images.mirrors", "https://docker.io=https://mirror"),
        ("images.insecure_registries", "http://registry"),
        ("images.secrets", "ghcr.io"),
        ("images.secrets", "ghcr.io=login"),
        ("images.secrets", "ghcr.io="),
        ("images.secrets", "ghcr.io=arn:aws:iam::123456789012:role/login"),
        ("images.secrets", "ghcr.io=arn:aws:secretsmanager:eu-west-1:1:secret:login"),
        ("images.secrets", "https://ghcr.io=arn:aws:secretsmanager:eu-west-1:123456789012:secret:login"),
        ("images.keep_credentials", "sometimes"),
        ("logs.tail_bytes", "-1"),
        ("shutdown.grace_seconds", "-0.1"),
        ("shutdown.grace_seconds", "inf"),
        ("shutdown.containers", "kill"),
        ("log.level", "INFO!"),
        ("log.format", "xml"),
    ],
)
def test_value_out_of_bounds_names_its_key_and_the_ways(path: str, text: str) -> None:
    message = _refusal({**REQUIRED, path: text})
    key = keys()[path]
    assert path in message
    assert key.flag in message
    assert key.variable in message
    # The same from the environment.
    flags = {one: value for one, value in REQUIRED.items() if one != path}
    assert path in _refusal(flags, {key.variable: text})


def test_password_in_a_url_is_not_told() -> None:
    message = _refusal({**REQUIRED, "images.mirrors": "docker.io=https://me:hunter2@mirror:x"})
    assert "hunter2" not in message
    assert "images.mirrors" in message


def test_shown_configuration_masks_passwords_and_names_sources() -> None:
    loaded = load(
        {**REQUIRED, "ecs.endpoint_url": "https://me:hunter2@mirror"}, {"SOCKERLESS_LOG_LEVEL": "debug"}, None
    )
    shown = {path: (value, source) for path, value, source in loaded.shown()}
    assert list(shown) == list(keys())
    assert shown["ecs.endpoint_url"] == ('"https://***@mirror"', "flag --ecs-endpoint-url")
    assert shown["log.level"] == ('"debug"', "environment SOCKERLESS_LOG_LEVEL")
    assert shown["ecs.subnets"] == ('["subnet-abc123"]', "flag --ecs-subnets")
    assert shown["agent.port"] == ("9111", "default")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ecs: [", "is not YAML"),
        ("ecs: {cluster: a}\necs: {cluster: b}", "is not YAML"),
        ("- a", "must hold sections"),
        ("ecs: everything", "ecs (in "),
        ("ecs.cluster: a", "ecs.cluster (in "),
        ("1: 2", "1 (in "),
    ],
)
def test_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    flags = {path: value for path, value in REQUIRED.items() if path != "ecs.cluster"}
    file = _file(tmp_path, text)
    message = _refusal(flags, file=file)
    assert reason in message
    assert str(file) in message


@pytest.mark.parametrize("text", ["", "# nothing\n", "ecs:\n", "{}"])
def test_file_without_keys_is_no_error(tmp_path: Path, text: str) -> None:
    assert load(REQUIRED, {}, _file(tmp_path, text)).settings.ecs.cluster == "sockerless"


def test_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    assert "No such file" in _refusal(file=tmp_path / "none.yaml")
    assert "cannot be read" in _refusal(file=tmp_path)
    (tmp_path / "binary").write_bytes(b"ecs: {cluster: \xff\xfe}")
    assert str(tmp_path / "binary") in _refusal(file=tmp_path / "binary")


_TLS = {"tls_certificate": "/c", "tls_key": "/k", "tls_client_ca": "/a"}


@pytest.mark.parametrize("section", ["listen", "docker"])
@pytest.mark.parametrize("tcp", ["0.0.0.0:1", "10.0.0.1:1", "[::]:1", "example.org:1"])
def test_tcp_beyond_this_machine_needs_mutual_tls_or_a_word(tcp: str, section: str) -> None:
    def listening(**values: str) -> ListenSettings:
        found: ListenSettings = getattr(load(_in_section(values), {}, None).settings, section)
        return found

    def _in_section(values: dict[str, str]) -> dict[str, str]:
        return {**REQUIRED, **{f"{section}.{name}": value for name, value in values.items()}}

    message = _refusal(_in_section({"tcp": tcp}))
    assert f"{section}.tcp = {tcp} can be reached from other machines" in message
    assert f"--{section}-insecure" in message
    assert f"{section}.tls_client_ca" in message
    one_sided = {name: text for name, text in _TLS.items() if name != "tls_client_ca"}
    assert "can be reached" in _refusal(_in_section({**one_sided, "tcp": tcp}))
    mutual = listening(**_TLS, tcp=tcp)
    assert mutual.mutual_tls == (Path("/c"), Path("/k"), Path("/a"))
    assert not mutual.open_to_others
    assert listening(tcp=tcp, insecure="true").open_to_others


@pytest.mark.parametrize(
    ("tcp", "address"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:0", ("::1", 0)), ("localhost:65535", ("localhost", 65535))],
)
def test_tcp_on_loopback_needs_nothing(tcp: str, address: tuple[str, int]) -> None:
    listen = load({**REQUIRED, "listen.tcp": tcp, "listen.socket": ""}, {}, None).settings.listen
    assert listen.tcp_address == address
    assert not listen.open_to_others


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"listen.socket": "", "docker.socket": ""}, "are all empty: nobody comes in"),
        ({"listen.socket": "/a", "docker.socket": "/a"}, "listen.socket and docker.socket are the same path"),
        ({"docker.tls_key": "/k"}, "docker.tls_certificate and docker.tls_key go together"),
        ({"listen.tls_certificate": "/c"}, "listen.tls_certificate and listen.tls_key go together"),
        ({"listen.tls_key": "/k"}, "listen.tls_certificate and listen.tls_key go together"),
        ({"listen.tls_client_ca": "/a"}, "listen.tls_client_ca needs a certificate"),
        (
            {"images.keep_credentials": "true", "store.backend": "memory"},
            "images.keep_credentials needs store.backend = sqlite",
        ),
        ({"ecs.default_cpu": "1"}, "Fargate has no size of 1 vCPU with 512 MiB"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(flags: dict[str, str], named: str) -> None:
    assert named in _refusal({**REQUIRED, **flags})


def _settings(tmp_path: Path, *, socket: str | None = None, tls_key: str = "") -> Settings:
    absent = str(tmp_path / "no folder" / "a.sock")
    return Settings(
        ecs=EcsSettings(),
        listen=ListenSettings(socket=absent if socket is None else socket, tls_key=tls_key),
        store=StoreSettings(path=str(tmp_path / "s" / "state.db")),
    )


def test_paths_that_can_be_used_pass(tmp_path: Path) -> None:
    check_paths(_settings(tmp_path, socket=str(tmp_path / "a.sock")))
    check_paths(_settings(tmp_path, socket=""))


def test_paths_that_cannot_be_used_are_one_error_naming_the_keys(tmp_path: Path) -> None:
    (tmp_path / "s").touch()
    with pytest.raises(Misconfigured) as caught:
        check_paths(_settings(tmp_path, tls_key="/nowhere/key.pem"))
    message = str(caught.value)
    for path in ("listen.socket", "store.path", "listen.tls_key"):
        assert f"  {path} = " in message
        assert keys()[path].variable in message


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_default_paths_are_refused_to_an_unprivileged_user() -> None:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setresuid(65534, 65534, 65534)
            check_paths(Settings(ecs=EcsSettings()))
        except Misconfigured as error:
            named = [path for path in ("listen.socket", "store.path") if f"  {path} = " in str(error)]
            code = 0 if len(named) == 2 and "user 65534" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_memory_store_needs_no_path() -> None:
    store = StoreSettings(backend="memory", path="/nowhere/x")
    check_paths(Settings(ecs=EcsSettings(), listen=ListenSettings(socket=""), store=store))
    assert (store.where, store.identity_path) == ("memory", None)
    store = StoreSettings(path="/a/state.db")
    assert (store.where, store.identity_path) == (Path("/a/state.db"), Path("/a/identity.json"))


def test_socket_mode_is_octal() -> None:
    assert ListenSettings().mode_bits == 0o660
