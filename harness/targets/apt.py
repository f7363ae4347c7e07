"""Apt: packages of any suite of Debian, by this machine's own apt, with signatures checked.

Nothing of the machine's is changed: lists and downloads lie in a folder of ours. Where packages
come from, proxies and credentials are those of the machine's own apt.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, UsageError

MIRROR = "TCPSPEC_DEBIAN_MIRROR"
"""The environment variable that names a mirror where the machine's apt knows none."""

Progress = Callable[[str, float], None]
"""Takes what is being done, and how much of it is done: 0 to 1."""

_FORMAT = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(LABEL)"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_RELEASE_FILE = Path("/etc/os-release")
_PERIOD = 0.2

# What the machine runs after an update is not ours to start, and who may read our folder is.
_CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets;
Acquire::IndexTargets::deb::Packages {{
  MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages";
  flatMetaKey "Packages";
  ShortDescription "Packages";
  Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages";
  flatDescription "$(RELEASE) Packages";
  Optional "0";
}};
Acquire::Languages "none";
Acquire::Retries "2";
APT::Sandbox::User "root";
Dir::Etc::SourceList "{folder}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "{folder}/lists";
Dir::State::Status "{folder}/status";
Dir::Cache "{folder}/cache";
"""


@dataclass(frozen=True, slots=True)
class Package:
    """One package: where it is, how many octets it has, and their hash from the signed list."""

    file: str
    uri: str
    size: int
    hash: str

    @property
    def name(self) -> str:
        """Its name without its version."""
        return self.file.partition("_")[0]

    @property
    def version(self) -> str:
        """Its version, without an epoch."""
        return _unescaped(self.file.split("_")[1]).rpartition(":")[2]


class Apt:
    """One suite, as apt sees it from a folder of ours."""

    def __init__(self, folder: Path, suite: str) -> None:
        """Write apt's configuration; UsageError if apt, a mirror or Debian's keys are missing."""
        if shutil.which("apt-get") is None:
            raise UsageError("apt is not installed: kernels can only be fetched by apt")
        if not Path(_KEYRING).exists():
            raise UsageError(
                "Debian's keys are not installed: apt-get install debian-archive-keyring"
            )
        self._suite = suite
        self._folder = folder
        for part in ("lists/partial", "cache"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(
            f"deb [arch={_value('APT::Architecture')} signed-by={_KEYRING}] "
            f"{mirror()} {suite} main\n",
            "utf-8",
        )
        (folder / "apt.conf").write_text(_CONFIGURATION.format(folder=folder), "utf-8")

    def update(self) -> None:
        """Fetch the suite's list of packages and check its signature; HarnessError if refused."""
        self._ask("apt-get", "update", "--error-on=any")

    def closure(self, name: str, follow: str) -> list[str]:
        """Return a package and those of its dependencies, and theirs, that match a pattern."""
        found = [name]
        for one in found:
            for line in self._ask("apt-cache", "show", "--no-all-versions", one).splitlines():
                field, _, value = line.partition(": ")
                if field in {"Depends", "Pre-Depends"}:
                    names = re.findall(r"(?:^|[,|]) *([a-z0-9][a-z0-9+.-]*)", value)
                    found += [each for each in names if re.match(follow, each)]
        return list(dict.fromkeys(found))

    def packages(self, names: Iterable[str]) -> list[Package]:
        """Look the newest packages of these names up; HarnessError if the suite lacks one."""
        said = self._ask("apt-get", "--print-uris", "download", *names)
        return [_package(line) for line in said.splitlines() if line.startswith("'")]

    def download(self, packages: Sequence[Package], into: Path, progress: Progress) -> list[Path]:
        """Fetch packages and check their hashes; what is there already is kept or completed."""
        into.mkdir(parents=True, exist_ok=True)
        helper = Path(_value("Dir::Bin::Methods/d")).parent / "apt-helper"
        whole = sum(package.size for package in packages) or 1
        before = 0
        paths = []
        for package in packages:
            path = into / package.file
            for size in self._fetching(helper, package, path):
                progress(package.name, min(1.0, (before + min(size, package.size)) / whole))
            before += package.size
            paths.append(path)
        return paths

    def _fetching(self, helper: Path, package: Package, path: Path) -> Iterator[int]:
        """Give how many octets are there, while they come."""
        yield _size(path)
        if _size(path) > package.size:
            path.unlink()
        words = [str(helper), "-c", str(self._folder / "apt.conf"), "-q", "download-file"]
        with subprocess.Popen(
            [*words, package.uri, path.name, package.hash],
            cwd=path.parent,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                complaint = ""
                while process.returncode is None:
                    try:
                        _, complaint = process.communicate(timeout=_PERIOD)
                    except subprocess.TimeoutExpired:
                        yield _size(path)
            except BaseException:
                process.terminate()
                raise
        if process.returncode or not path.exists():
            raise _refused(complaint, self._suite)
        yield package.size

    def _ask(self, program: str, *words: str) -> str:
        done = subprocess.run(
            [program, "-q", "-c", str(self._folder / "apt.conf"), *words],
            capture_output=True,
            check=False,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            text=True,
        )
        if done.returncode:
            raise _refused(done.stderr, self._suite)
        return done.stdout


def mirror() -> str:
    """Return where this machine's apt gets Debian's packages from; UsageError if from nowhere."""
    if asked := os.environ.get(MIRROR):
        return asked
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages"],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    system = _system()
    for line in done.stdout.splitlines():
        uri, release, component, label = (line.split("|") + [""] * 4)[:4]
        # The label is only known after an update; before it, a Debian's own suite tells.
        unknown = not label or label.startswith("$(")
        own = system.get("ID") == "debian" and release == system.get("VERSION_CODENAME")
        if component == "main" and (label == "Debian" or (unknown and own)):
            return uri
    raise UsageError(f"this machine's apt knows no mirror of Debian: name one, {MIRROR}=URL")


def _system() -> Mapping[str, str]:
    try:
        lines = shlex.split(_RELEASE_FILE.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _package(line: str) -> Package:
    """Read a line of --print-uris: 'URI' FILE SIZE HASH."""
    uri, file, size, checksum = shlex.split(line)[:4]
    if ":" not in checksum:
        raise HarnessError(f"apt gives no hash of {file}")
    return Package(file, uri, int(size), checksum)


def _value(name: str) -> str:
    """Return a setting of apt's; "…/d" is a folder."""
    done = subprocess.run(
        ["apt-config", "shell", "found", name], capture_output=True, check=False, text=True
    )
    words = shlex.split(done.stdout)
    if not words:
        raise HarnessError(f"apt has no setting {name}")
    return words[0].partition("=")[2]


def _refused(complaint: str, suite: str) -> HarnessError:
    lines = [line for line in complaint.splitlines() if line.startswith("E:")]
    why = (lines or complaint.splitlines() or ["it does not say why"])[0].removeprefix("E: ")
    return HarnessError(f"apt fetches nothing of Debian {suite}: {why}")


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _unescaped(text: str) -> str:
    return re.sub("%([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), text)
