"""Kernels: what is asked of apt, what is kept of an interrupted fetch, and what a user is told."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from harness.errors import HarnessError, UsageError
from harness.targets import apt, kernels

# Stands in for apt: notes how it was called, and keeps what is on its mirror in a folder.
APT_GET = """#!/bin/sh
echo "apt-get $*" >> "$FAKE/calls"
case "$*" in
    indextargets*) cat "$FAKE/targets" ;;
    *update*) [ ! -e "$FAKE/refuses" ] || { cat "$FAKE/refuses" >&2; exit 100; } ;;
    *--print-uris*) cat "$FAKE/uris" ;;
esac
"""
APT_CACHE = """#!/bin/sh
for name; do :; done
cat "$FAKE/show/$name" 2>/dev/null || { echo "E: No packages found" >&2; exit 100; }
"""
APT_CONFIG = """#!/bin/sh
case "$*" in
    *Methods*) echo "found='$FAKE/methods/'" ;;
    *) echo "found='amd64'" ;;
esac
"""
# Takes a part at a time, as an unsteady line does; goes on where it stopped.
APT_HELPER = """#!/bin/sh
echo "helper from $(stat -c %s "$6" 2>/dev/null || echo 0)" >> "$FAKE/calls"
if [ -e "$FAKE/breaks" ]; then
    head -c 100 "$FAKE/mirror/${5##*/}" > "$6"; rm "$FAKE/breaks"
    echo "E: Connection reset by peer" >&2; exit 100
fi
cp "$FAKE/mirror/${5##*/}" "$6"
"""
DPKG_DEB = """#!/bin/sh
cat "$2"
"""
IMAGE = """#!/bin/sh
echo 6.1.99
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine whose apt is ours, and whose cache is empty."""
    for name, text in {
        "bin/apt-get": APT_GET,
        "bin/apt-cache": APT_CACHE,
        "bin/apt-config": APT_CONFIG,
        "bin/dpkg-deb": DPKG_DEB,
        "apt-helper": APT_HELPER,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    for folder in ("show", "mirror"):
        (tmp_path / folder).mkdir()
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    monkeypatch.setattr(apt, "_KEYRING", str(keyring))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE", str(tmp_path))
    monkeypatch.setenv(kernels.FOLDER, str(tmp_path / "cache"))
    monkeypatch.delenv(apt.MIRROR, raising=False)
    (tmp_path / "targets").write_text(
        "http://one.example/extra/|bookworm|main|Other\n"
        "http://two.example/debian/|bookworm|main|Debian\n"
    )
    return tmp_path


def packed(files):
    """Return the files as the tar archive that stands in for a package."""
    octets = io.BytesIO()
    with tarfile.open(fileobj=octets, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            member.mode = 0o755
            tar.addfile(member, io.BytesIO(text.encode()))
    return octets.getvalue()


def offer(machine, name, version, files, depends=""):
    """Put a package on the mirror."""
    file = f"{name}_{version}_amd64.deb"
    octets = packed(files)
    (machine / "mirror" / file).write_bytes(octets)
    (machine / "show" / name).write_text(f"Package: {name}\nDepends: {depends}\n")
    uri = f"'http://two.example/debian/pool/{file}' {file} {len(octets)} SHA256:00\n"
    with (machine / "uris").open("a") as uris:
        uris.write(uri)


def offer_uml(machine):
    """Put a user-mode-linux on the mirror."""
    offer(
        machine,
        "user-mode-linux",
        "6.1um1",
        {
            "./usr/bin/linux.uml": IMAGE,
            "./usr/lib/uml/modules/6.1.99/modules.dep": "",
            "./usr/lib/uml/modules/6.1.99/kernel/net/ip_tables.ko": "ko",
            "./usr/lib/uml/modules/6.1.99/kernel/fs/ext4.ko": "ko",
            "./usr/share/doc/README": "text",
        },
        "libc6 (>= 2.34)",
    )


def calls(machine):
    """Return how apt was called."""
    return (machine / "calls").read_text()


def test_a_kernel_is_fetched_once_and_then_found(machine):
    """A kernel that was fetched is found in the cache, and apt is not asked for it again."""
    offer_uml(machine)
    assert kernels.find("uml-6.1") is None
    assert "tcpspec kernels fetch uml-6.1" in (kernels.missing("uml-6.1") or "")
    told = []
    found = kernels.fetch("uml-6.1", progress=lambda *what: told.append(what))
    assert found.release == found.version == "6.1.99"
    assert found.package == "user-mode-linux 6.1um1"
    assert found.modules is not None
    assert (found.modules / "kernel/net/ip_tables.ko").exists()
    assert not (found.modules / "kernel/fs").exists()
    assert told[-1] == ("unpacking", 1.0)
    assert all(0 <= share <= 1 for _, share in told)
    (machine / "calls").unlink()
    assert kernels.fetch("uml-6.1") == kernels.find("uml-6.1") == found
    assert not (machine / "calls").exists()
    assert kernels.missing("uml-6.1") is None
    kernels.fetch("uml-6.1", again=True)
    assert "update" in calls(machine)


def test_an_interrupted_fetch_goes_on_where_it_stopped(machine):
    """What came before the line broke is handed to apt to be completed, and no half kernel is."""
    offer_uml(machine)
    (machine / "breaks").touch()
    with pytest.raises(HarnessError, match=r"^apt fetches nothing.*Connection reset by peer$"):
        kernels.fetch("uml-6.1")
    assert kernels.find("uml-6.1") is None
    kernels.fetch("uml-6.1")
    assert "helper from 0\n" in calls(machine)
    assert "helper from 100\n" in calls(machine)


def test_the_mirror_is_that_of_the_machines_apt(machine, monkeypatch):
    """The list of sources names the mirror of Debian that apt knows, or the one of the user."""
    offer_uml(machine)
    kernels.fetch("uml-6.1")
    sources = Path(machine, "cache", ".apt-bookworm", "sources.list")
    assert "http://two.example/debian/ bookworm main" in sources.read_text()
    assert f"signed-by={machine / 'keyring.gpg'}" in sources.read_text()
    monkeypatch.setenv(apt.MIRROR, "http://three.example/")
    kernels.fetch("uml-6.1", again=True)
    assert "http://three.example/ bookworm main" in sources.read_text()


def test_before_its_first_update_a_debian_knows_its_mirror_by_its_own_suite(machine, monkeypatch):
    """Without lists apt tells no label; the suite that the machine itself runs is Debian's."""
    release = machine / "os-release"
    release.write_text('ID=debian\nVERSION_CODENAME=bookworm\nNAME="Debian GNU/Linux"\n')
    monkeypatch.setattr(apt, "_RELEASE_FILE", release)
    (machine / "targets").write_text("http://four.example/d/|bookworm|main|\n")
    assert apt.mirror() == "http://four.example/d/"
    release.write_text("ID=ubuntu\nVERSION_CODENAME=bookworm\n")
    with pytest.raises(UsageError, match="knows no mirror of Debian"):
        apt.mirror()


@pytest.mark.parametrize("place", ["boot/vmlinuz-6.1.0-1-cloud", "usr/lib/modules/R/vmlinuz"])
def test_a_cloud_kernel_comes_with_all_that_its_package_names(machine, place):
    """The packages of image and modules are found through what depends on them."""
    offer(machine, "linux-image-cloud-amd64", "6.1.99-2", {}, "linux-image-6.1 (= 6.1.99-2)")
    offer(
        machine, "linux-image-6.1", "6.1.99-2", {f"./{place}": "x" * 9000}, "kmod, linux-modules-r"
    )
    modules = {"./lib/modules/R/kernel/virtio.ko": "ko"}
    offer(machine, "linux-modules-r", "6.1.99-2", modules, "linux-base")
    found = kernels.fetch("qemu-6.1")
    assert found.image.name == "vmlinuz"
    assert found.modules is not None
    assert (found.release, found.version) == ("R", "6.1.99")
    assert (found.modules / "kernel/virtio.ko").exists()
    asked = [line for line in calls(machine).splitlines() if "--print-uris" in line]
    assert asked[0].endswith("linux-image-cloud-amd64 linux-image-6.1 linux-modules-r")


def test_what_cannot_be_fetched_is_said_in_one_line(machine, monkeypatch):
    """An unknown kernel, a refused suite and a missing apt are one line each."""
    with pytest.raises(UsageError, match=r"no kernel is called 'uml-2\.4'; known: uml-5"):
        kernels.fetch("uml-2.4")
    (machine / "refuses").write_text("W: first\nE: The repository is not signed.\nE: more\n")
    with pytest.raises(HarnessError, match=r"^apt .* bookworm: The repository is not signed\.$"):
        kernels.fetch("uml-6.1")
    monkeypatch.setenv("PATH", str(machine / "nowhere"))
    with pytest.raises(UsageError, match="apt is not installed"):
        kernels.fetch("uml-6.1")


def test_a_broken_card_is_no_kernel(machine):
    """What the cache holds is believed only when it is whole."""
    offer_uml(machine)
    card = kernels.fetch("uml-6.1").image.parent / "kernel.json"
    whole = card.read_text()
    for broken in ("", "[]", json.dumps({"image": "linux.uml"}), whole.replace("linux.uml", "x")):
        card.write_text(broken)
        assert kernels.find("uml-6.1") is None


def test_an_image_that_does_not_run_is_the_users_mistake(tmp_path):
    """A file that is no user-mode-linux is refused in one line."""
    with pytest.raises(UsageError, match="does not run"):
        kernels.release_of(tmp_path / "nothing")
    image = tmp_path / "linux"
    image.write_text("#!/bin/sh\necho not a kernel at all\n")
    image.chmod(0o755)
    with pytest.raises(UsageError, match="is no user-mode-linux"):
        kernels.release_of(image)
