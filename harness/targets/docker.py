"""Docker: what is asked of a Docker engine on this kernel, and what removes a killed run's part.

The only door to the docker package.
"""

import contextlib
import io
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import docker
from docker.errors import DockerException, ImageNotFound

from harness.errors import HarnessError, UsageError
from harness.targets import image

LABEL = "tcpspec.run"

TIMEOUT = 12.0
"""An engine that does not answer for so many seconds counts as dead; a start under load takes 3."""

PING_TIMEOUT = 3.0
_BUILD_TIMEOUT = 900.0
_KNOCK_TIMEOUT = 3.0

# requests' exceptions are OSErrors.
_FAILURES = (DockerException, OSError)

# A shell waits, because it is small; only if the run was killed does Python come.
_WAIT = 'trap "" INT TERM HUP; read done || exec "$@"'
_REAPED_WITHIN = 8.0


class Started(NamedTuple):
    """A container that runs: its stream, its main process's number (0: it has ended), its id."""

    stream: socket.socket
    pid: int
    id: str


def creation(
    source: str,
    sysctls: Mapping[str, str],
    label: str,
    *,
    network: str = "none",
    runtime: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a container is created with: its own arguments, and those towards the host.

    `network` may be another container's, as "container:ID"; `runtime` is one that the engine knows.
    """
    program, *arguments = image.COMMAND
    own = {
        "image": source,
        "entrypoint": [program],
        "command": arguments,
        "stdin_open": True,
        "user": "0:0",
        "working_dir": "/",
        "labels": {LABEL: label},
        "healthcheck": {"test": ["NONE"]},
    }
    host = {
        "network_mode": network,
        "auto_remove": True,
        "cap_add": ["NET_ADMIN"],
        "sysctls": dict(sysctls),
        "log_config": {"Type": "none"},
    }
    if runtime is not None:
        host["runtime"] = runtime
    return own, host


class Engine:
    """A Docker engine on this kernel; its errors are HarnessErrors with one line."""

    def __init__(self, *, timeout: float = TIMEOUT) -> None:
        """Reach it; UsageError, with the remedy, if it cannot be."""
        self.place = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        try:
            self._knock()
            self._api = docker.from_env(timeout=timeout).api
        except _FAILURES as error:
            raise UsageError(self._unreachable(error)) from error

    def kernel(self) -> str:
        """Return the version of the kernel that its containers run on."""
        with self._failing("cannot be asked"):
            return str(self._api.info().get("KernelVersion"))

    def runtimes(self) -> dict[str, str]:
        """Return the runtimes that it knows, by name, with the programs that they are."""
        with self._failing("cannot be asked"):
            found = self._api.info().get("Runtimes") or {}
            return {name: str(one.get("path", "")) for name, one in found.items()}

    def has(self, name: str) -> bool:
        """Tell whether it has an image."""
        with self._failing("cannot be asked"):
            try:
                self._api.inspect_image(name)
            except ImageNotFound:
                return False
            return True

    def pull(self, name: str) -> None:
        """Get an image from a registry."""
        repository, _, tag = name.rpartition(":")
        if not repository or "/" in tag:
            repository, tag = name, "latest"
        with self._failing(f"cannot pull {name}"):
            self._api.pull(repository, tag=tag)

    def build(self, name: str, base: str, *, network_mode: str | None) -> None:
        """Build our image on a base image."""
        asked = {
            "fileobj": io.BytesIO(image.context()),
            "custom_context": True,
            "tag": name,
            "rm": True,
            "forcerm": True,
            "decode": True,
            "network_mode": network_mode,
            "labels": {LABEL: "image"},
            "buildargs": {"BASE": base, **_proxies()},
            "timeout": _BUILD_TIMEOUT,
        }
        with self._failing(f"cannot build {name}"):
            for said in self._api.build(**asked):
                if "error" in said:
                    raise DockerException(str(said["error"]))

    def start(
        self,
        source: str,
        sysctls: Mapping[str, str],
        label: str,
        *,
        foreign: bool,
        network: str = "none",
        runtime: str | None = None,
    ) -> Started:
        """Start a container in a network of its own, or in another container's."""
        own, host = creation(source, sysctls, label, network=network, runtime=runtime)
        with self._failing(f"cannot start a container of {source}"):
            made = self._api.create_container(
                **own, host_config=self._api.create_host_config(**host)
            )["Id"]
            stream = None
            try:
                if foreign:
                    self._api.put_archive(made, "/", image.archive())
                attached = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
                stream = _plain(self._api.attach_socket(made, params=attached))
                self._api.start(made)
                pid = int(self._api.inspect_container(made)["State"]["Pid"])
                return Started(stream, pid, str(made))
            except BaseException:
                if stream is not None:
                    stream.close()
                with contextlib.suppress(*_FAILURES):
                    self._knock()
                    self._api.remove_container(made, force=True, v=True)
                raise

    def clear(self, label: str) -> int:
        """Remove the containers of a run; return how many there were."""
        with self._failing("cannot remove containers"):
            found = self._api.containers(all=True, filters={"label": f"{LABEL}={label}"})
            for one in found:
                with contextlib.suppress(DockerException):
                    self._api.remove_container(one["Id"], force=True, v=True)
        return len(found)

    def condition(self) -> str:
        """Say whether it still answers."""
        try:
            Engine(timeout=PING_TIMEOUT).close()
        except UsageError:
            return f"the Docker engine at {self.place} has ended"
        return "its container has ended"

    def close(self) -> None:
        """Close the connection."""
        self._api.close()

    @contextlib.contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        try:
            self._knock()
            yield
        except _FAILURES as error:
            raise HarnessError(
                f"the Docker engine at {self.place} {what}: {_short(error)}"
            ) from error

    def _knock(self) -> None:
        """Raise OSError where nobody listens: the docker package would leave a socket open."""
        if self.place.startswith("unix://"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
                door.settimeout(_KNOCK_TIMEOUT)
                door.connect(self.place.removeprefix("unix://"))

    def _unreachable(self, error: Exception) -> str:
        if "Permission denied" in str(error):
            return f"no permission to use the Docker engine at {self.place}: run as root"
        remedy = "start it (`systemctl start docker`, or `dockerd &`)"
        if shutil.which("dockerd") is None and "DOCKER_HOST" not in os.environ:
            remedy = "apt-get install docker.io"
        return f"no Docker engine answers at {self.place}: {remedy}"


class Reaper:
    """The end of a process of the run: whose label stands on the containers that go with it."""

    def __init__(self) -> None:
        """Start what removes them if the process is killed."""
        self.label = f"{os.getpid()}-{secrets.token_hex(4)}"
        path = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _WAIT, "tcpspec", sys.executable, "-m", __name__, self.label],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # What a terminal sends to the run's process group must not reach it.
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        )

    def dismiss(self) -> None:
        """End it: there is nothing left to remove."""
        assert self._process.stdin is not None
        # One that was killed protects nothing more, but no testcase depends on it.
        with contextlib.suppress(OSError), self._process.stdin as orders:
            orders.write(b"done\n")
        self._process.wait()


def provide(engine: Engine, asked: str | None) -> None:
    """See that there is an image, the user's or ours; UsageError, one line, if there cannot be."""
    if asked is not None:
        if not engine.has(asked):
            try:
                engine.pull(asked)
            except HarnessError as error:
                raise UsageError(
                    f"--docker-image {asked}: there is no such image here, and {error}"
                ) from error
        return
    wanted = image.name()
    if engine.has(wanted):
        return
    sys.stderr.write(f"building the image {wanted}, once\n")
    engine_with_time = Engine(timeout=_BUILD_TIMEOUT)
    try:
        if not engine.has(image.local_base()):
            try:
                engine_with_time.build(wanted, image.default_base(), network_mode=None)
            except HarnessError:
                image.make_local_base()
            else:
                return
        engine_with_time.build(wanted, image.local_base(), network_mode="none")
    finally:
        engine_with_time.close()


def _short(error: BaseException) -> str:
    return str(getattr(error, "explanation", None) or error).strip().partition("\n")[0][:200]


def _plain(attached: Any) -> socket.socket:
    """Return the connection behind what the docker package returns for an attached container."""
    found = getattr(attached, "_sock", attached)
    if type(found) is not socket.socket:
        raise DockerException("its streams are encrypted: use the engine's socket on this machine")
    ours = socket.socket(fileno=os.dup(found.fileno()))
    attached.close()
    found.close()
    return ours


def _proxies() -> dict[str, str]:
    names = ("http_proxy", "https_proxy", "no_proxy")
    found = {spelt: os.environ.get(spelt, "") for one in names for spelt in (one, one.upper())}
    return {name: value for name, value in found.items() if value}


def reap(label: str) -> None:
    """Remove a killed run's containers, also one that the engine is only about to create."""
    deadline = time.monotonic() + _REAPED_WITHIN
    quiet = 0
    while quiet < 4 and time.monotonic() < deadline:
        with contextlib.suppress(HarnessError):
            engine = Engine()
            quiet = 0 if engine.clear(label) else quiet + 1
            engine.close()
        time.sleep(0.5)


if __name__ == "__main__":
    reap(sys.argv[1])
