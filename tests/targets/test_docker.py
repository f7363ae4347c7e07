"""Docker: what an engine is asked for, and what a user is told when it cannot be had."""

import io
import socket
import tarfile
from types import SimpleNamespace

import pytest
from docker.errors import APIError, DockerException, ImageNotFound

from harness.errors import HarnessError, UsageError
from harness.targets import containers, docker, image
from harness.targets.driver import Settings
from harness.targets.stage import Stage


class Api:
    """Stands in for the docker package's client: an engine with some images."""

    def __init__(self, *images, broken=None):
        self.images = set(images)
        self.broken = broken
        self.calls = []
        self.ends = []

    def _note(self, *call):
        self.calls.append(call)

    def inspect_image(self, name):
        if name not in self.images:
            raise ImageNotFound(f"no such image: {name}")

    def pull(self, repository, *, tag):
        self._note("pull", repository, tag)
        raise DockerException("dial tcp: no such host\nand more lines")

    def build(self, **asked):
        self._note("build", asked["tag"], asked["buildargs"]["BASE"], asked["network_mode"])
        if asked["network_mode"] is None:
            yield {"error": "no registry"}
        self.images.add(asked["tag"])

    def create_host_config(self, **host):
        return host

    def create_container(self, **own):
        self._note("create", own)
        return {"Id": "c1"}

    def put_archive(self, made, path, octets):
        self._note("put", made, path, octets)

    def attach_socket(self, made, *, params):
        self._note("attach", made, params)
        ours, theirs = socket.socketpair()
        self.ends += [ours, theirs]
        return SimpleNamespace(_sock=ours, close=lambda: None)

    def start(self, made):
        self._note("start", made)
        if self.broken:
            raise APIError(self.broken)

    def inspect_container(self, made):
        return {"Id": made, "State": {"Pid": 4711}}

    def remove_container(self, made, **_):
        self._note("remove", made)

    def close(self):
        for end in self.ends:
            end.close()


@pytest.fixture(name="engine_of")
def _engine_of(monkeypatch):
    made = []
    monkeypatch.setattr(docker.Engine, "_knock", lambda _: None)

    def engine_of(api):
        monkeypatch.setattr(docker.docker, "from_env", lambda **_: SimpleNamespace(api=api))
        made.append(docker.Engine())
        return made[-1]

    yield engine_of
    for engine in made:
        engine.close()


def test_a_container_is_created_alone_with_its_sysctls_and_without_more_rights_than_it_needs():
    """What an operator would set: no network, NET_ADMIN, sysctls; it goes when its input ends."""
    own, host = docker.creation("some:image", {"net.ipv4.tcp_fin_timeout": "3"}, "run-1")
    assert own["image"] == "some:image"
    assert [*own["entrypoint"], *own["command"]] == list(image.COMMAND)
    assert own["stdin_open"] is True
    assert own["labels"] == {docker.LABEL: "run-1"}
    assert host == {
        "network_mode": "none",
        "auto_remove": True,
        "cap_add": ["NET_ADMIN"],
        "sysctls": {"net.ipv4.tcp_fin_timeout": "3"},
        "log_config": {"Type": "none"},
    }


def test_a_foreign_image_is_given_the_agent_before_it_starts(engine_of):
    """The agent's files are put into a container that is made of somebody else's image."""
    api = Api("python:3-slim")
    stream, pid, name = engine_of(api).start("python:3-slim", {}, "run-1", foreign=True)
    stream.close()
    assert (pid, name) == (4711, "c1")
    assert [call[0] for call in api.calls] == ["create", "put", "attach", "start"]
    with tarfile.open(fileobj=io.BytesIO(api.calls[1][3])) as put:
        assert image.AGENT.lstrip("/") in put.getnames()


def test_a_container_that_does_not_start_is_removed(engine_of):
    """Nothing is left of a container whose image has no Python, and the error says so."""
    api = Api("bare", broken='exec: "python3": executable file not found in $PATH')
    with pytest.raises(HarnessError) as raised:
        engine_of(api).start("bare", {}, "run-1", foreign=True)
    assert api.calls[-1] == ("remove", "c1")
    explained = containers.explained("bare", str(raised.value))
    assert explained == "the image bare has no python3: name one that has, with --docker-image"


def test_an_image_that_is_not_there_is_a_users_mistake_in_one_line(engine_of):
    """An unknown image is looked for in its registry, and then named together with the reason."""
    api = Api()
    with pytest.raises(UsageError) as raised:
        docker.provide(engine_of(api), "registry.example:5000/team/odd")
    assert api.calls == [("pull", "registry.example:5000/team/odd", "latest")]
    assert str(raised.value).startswith("--docker-image registry.example:5000/team/odd: there is")
    assert "\n" not in str(raised.value)


def test_our_image_is_built_once_and_without_a_registry_on_a_base_of_our_own(
    engine_of, monkeypatch, capsys
):
    """Where the default base cannot be had, one from local packages is made; a line tells of it."""
    api = Api()
    monkeypatch.setattr(image, "make_local_base", lambda: api._note("base"))
    engine = engine_of(api)
    docker.provide(engine, None)
    assert api.calls == [
        ("build", image.name(), image.default_base(), None),
        ("base",),
        ("build", image.name(), image.local_base(), "none"),
    ]
    assert capsys.readouterr().err.count("\n") == 1
    docker.provide(engine, None)
    assert len(api.calls) == 3
    assert capsys.readouterr().err == ""


def test_an_engine_that_is_not_there_is_answered_with_a_remedy(monkeypatch):
    """Without an engine the user is told where it was looked for, and what to do, in one line."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with pytest.raises(UsageError) as raised:
        docker.Engine()
    text = str(raised.value)
    assert text.startswith("no Docker engine answers at unix:///nonexistent/docker.sock: start it")
    assert "\n" not in text


def test_the_agent_is_the_only_thing_that_changes_the_name_of_the_image(monkeypatch, tmp_path):
    """The image is named after all that it is built from, and nothing else."""
    before = image.name()
    assert image.name() == before
    other = tmp_path / "Dockerfile"
    other.write_bytes(image._DOCKERFILE.read_bytes() + b"\n")
    monkeypatch.setattr(image, "_DOCKERFILE", other)
    assert image.name() != before


def test_without_a_checkout_the_user_is_told_to_name_an_image(monkeypatch, tmp_path):
    """An installed harness has no Dockerfile, but works with an image that has Python."""
    monkeypatch.setattr(image, "_DOCKERFILE", tmp_path / "Dockerfile")
    with pytest.raises(UsageError, match="--docker-image"):
        image.name()


def test_settings_become_what_a_container_is_created_with(monkeypatch):
    """The user's sysctls are set at creation, save those of an interface that is not there yet."""
    monkeypatch.setattr("harness.targets.stage.Guardian", lambda: SimpleNamespace(close=int))
    asked = {"net.ipv4.tcp_fin_timeout": "9", "net/ipv4/conf/eth0/rp_filter": "1"}
    stage = Stage(Settings(sysctls=asked, tuned=False))
    assert stage.writes()["net.ipv4.conf.eth0.rp_filter"] == "1"
    assert containers.creation_sysctls(stage.writes()) == {"net.ipv4.tcp_fin_timeout": "9"}
    stage.stop()


def test_a_container_may_join_the_network_of_another_under_another_runtime():
    """What stands in another container's network is created with its name, and with a runtime."""
    own, host = docker.creation("i", {}, "run-1", network="container:c1", runtime="other")
    # The engine overlooks a runtime that stands beside the host's settings.
    assert "runtime" not in own
    assert (host["runtime"], host["network_mode"]) == ("other", "container:c1")
    _, host = docker.creation("i", {}, "run-1")
    assert "runtime" not in host
    assert host["network_mode"] == "none"
