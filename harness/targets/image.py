"""Image: what a container of ours is built from, and what is put into somebody else's image."""

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

from harness.errors import UsageError

FOLDER = "opt/tcpspec"
AGENT = f"/{FOLDER}/agent.py"

COMMAND = ("python3", "-E", "-s", "-S", AGENT)
"""How the agent is started; not in isolated mode, which would hide the module that lies beside."""

_FILES = ("agent.py", "sock_diag.py")
_HERE = Path(__file__).parent
_CONTAINERS = _HERE.parents[1] / "containers"
_DOCKERFILE = _CONTAINERS / "linux" / "Dockerfile"
_BASE = _CONTAINERS / "base"
_MODE = 0o644
_BASE_TIMEOUT = 600


def archive(folder: str = FOLDER) -> bytes:
    """Return the agent's files as a tar archive, below a folder; always the same octets."""
    return _tar({f"{folder}/{name}": (_HERE / name).read_bytes() for name in _FILES})


def context() -> bytes:
    """Return all that the image is built from, as a tar archive; UsageError if it is not here."""
    files = {name: (_HERE / name).read_bytes() for name in _FILES}
    return _tar({"Dockerfile": _dockerfile(), **files})


def name() -> str:
    """Return the name of the image that the present files make."""
    return f"tcpspec-linux:{hashlib.sha256(context()).hexdigest()[:12]}"


def local_base() -> str:
    """Return the name of the base image that is made from this machine's own packages."""
    return f"tcpspec-base:{hashlib.sha256(_BASE.read_bytes()).hexdigest()[:12]}"


def default_base() -> str:
    """Return the base image that the Dockerfile names."""
    for line in _dockerfile().decode().splitlines():
        if line.startswith("ARG BASE="):
            return line.partition("=")[2].strip()
    raise UsageError(f"{_DOCKERFILE}: no line ARG BASE=IMAGE names a base image")


def make_local_base() -> str:
    """Make the base image from this machine's own packages; UsageError if that fails."""
    wanted = local_base()
    try:
        done = subprocess.run(
            [str(_BASE), wanted],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_BASE_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{_BASE} makes no base image: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it does not say"]
        raise UsageError(f"{_BASE} makes no base image: {lines[-1]}")
    return wanted


def _dockerfile() -> bytes:
    try:
        return _DOCKERFILE.read_bytes()
    except OSError:
        raise UsageError(
            "the image can only be built from a checkout of tcpspec; elsewhere name one that has "
            "Python 3, as --docker-image python:3-slim"
        ) from None


def _tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, octets in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(octets)
            member.mode = _MODE
            tar.addfile(member, io.BytesIO(octets))
    return packed.getvalue()
