"""The command: every mistake of a user is one line on stderr and exit status 2."""

import json
import subprocess
import sys

import pytest

from harness import cli
from harness.commands import common
from harness.documents.library import Library
from harness.reporting import doctor
from harness.targets import registry

from . import world
from .examples import judgement


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return an empty folder that the command runs in, with testcases of its own."""
    monkeypatch.chdir(tmp_path)
    text = "@pytest.mark.measures('time_wait_duration')\ndef test_wait(): ...\n"
    world.write(tmp_path / "testcases" / "test_a.py", text)
    return tmp_path


def refused(capsys, *arguments: str) -> str:
    assert cli.main(arguments) == cli.USAGE
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("tcpspec: ")
    assert shown.err.count("\n") == 1
    return shown.err


@pytest.mark.usefixtures("here")
def test_an_unknown_claim_is_told_with_a_close_one(capsys):
    """A misspelt claim is one line with the claim that was probably meant."""
    assert "did you mean 'RFC9293:MUST-13'?" in refused(capsys, "explain", "RFC9293:MST-13")


@pytest.mark.usefixtures("here")
def test_an_unknown_document_is_told_with_a_close_one(capsys):
    """A misspelt document is one line with the document that was probably meant."""
    assert "did you mean 'rfc9293'?" in refused(capsys, "coverage", "--document", "rfc9239")


def test_an_unknown_measure_in_a_marker_is_told_with_its_line(here, capsys):
    """Coverage refuses a marker that names no measure."""
    world.write(here / "testcases" / "test_b.py", "@pytest.mark.measures('x')\ndef test_x(): ...\n")
    assert "test_b.py:1: no measure is called 'x'" in refused(capsys, "coverage")


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "none", "other"),
        ("coverage", "--testcases", "none"),
        ("coverage", "--reports", "none"),
        ("coverage", "--documents", "none"),
        ("coverage", "--check", "none"),
        ("coverage", "--snapshot", "none/file"),
        ("explain", "RFC9293:MUST-13", "--reports", "none"),
        ("explain", "\x1b[31m\n"),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_is_not_there_is_told_in_one_line(capsys, arguments):
    """Folders, files and claims that do not exist are one line, control characters escaped."""
    assert refused(capsys, *arguments).rstrip("\n").isprintable()


def test_explain_shows_the_last_run_of_the_usual_folder(here, capsys):
    """What was observed last is taken from reports/ where the command runs."""
    world.run_of(here / "reports", [judgement()])
    assert cli.main(["explain", "RFC9293:MUST-13"]) == 0
    shown = capsys.readouterr().out
    assert "netns (ipv4): conforms, 60.3 s" in shown
    assert "pytest testcases/test_a.py::test_wait\n" in shown


@pytest.mark.usefixtures("here")
def test_coverage_is_text_or_json(capsys):
    """Both forms have the same claims, and a document can be chosen."""
    assert cli.main(["coverage", "--document", "rfc9293"]) == 0
    assert "  RFC9293:MUST-13  " in capsys.readouterr().out
    assert cli.main(["coverage", "--document", "rfc9293", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {one["document"] for one in found} == {"rfc9293"}


def test_the_check_fails_when_coverage_shrinks_and_says_how(here, capsys):
    """A testcase that goes is named, and the exit status is 1; new ones do no harm."""
    assert cli.main(["coverage", "--snapshot", "kept"]) == 0
    assert cli.main(["coverage", "--check", "kept"]) == 0
    more = "@pytest.mark.measures('syn_retry_ladder')\ndef test_syn(): ...\n"
    world.write(here / "testcases" / "test_b.py", more)
    assert cli.main(["coverage", "--check", "kept"]) == 0
    assert "lines are new" in capsys.readouterr().out

    (here / "testcases" / "test_a.py").unlink()
    assert cli.main(["coverage", "--check", "kept"]) == common.DIFFERS
    shown = capsys.readouterr().out
    gone = "time_wait_duration is no longer judged by testcases/test_a.py::test_wait"
    assert f"  RFC9293:MUST-13: {gone}" in shown
    assert "tcpspec coverage --snapshot kept" in shown


def test_without_a_name_the_snapshot_lies_beside_the_testcases(here, capsys):
    """Both options mean testcases/coverage.txt, wherever the command is run."""
    assert cli.main(["coverage", "--snapshot"]) == 0
    assert cli.main(["coverage", "--check", "--testcases", str(here / "testcases")]) == 0
    assert (here / "testcases" / "coverage.txt").exists()
    assert "has not shrunk" in capsys.readouterr().out


@pytest.mark.parametrize(("verdict", "status"), [("conforms", 0), ("deviates", 1)])
def test_compare_tells_by_its_exit_status_whether_runs_differ(here, capsys, verdict, status):
    """Status 0 says that nothing differs, 1 that something does, in every format."""
    for name, given in (("a", "conforms"), ("b", verdict)):
        world.run_of(here / name, [judgement(verdict=given)])
    for form in ("text", "json", "markdown"):
        assert cli.main(["compare", "a", "b", "--format", form]) == status
        assert capsys.readouterr().out


@pytest.mark.usefixtures("here")
def test_targets_and_doctor_show_what_is_missing(capsys, monkeypatch):
    """A target that cannot run is shown with what to install; without netns doctor fails."""

    class Lacking:
        """A stack. It is for this test."""

        @staticmethod
        def missing() -> str | None:
            return "iptables is not installed: apt-get install iptables"

    monkeypatch.setattr(doctor, "driver", lambda _name: Lacking)
    assert cli.main(["targets"]) == 0
    shown = capsys.readouterr().out
    assert "  --  netns" in shown
    assert "A stack\n" in shown
    assert "apt-get install iptables\n" in shown
    assert cli.main(["doctor"]) == common.DIFFERS
    assert "`pytest testcases` cannot run" in capsys.readouterr().out


def test_a_driver_whose_package_is_missing_is_shown_with_the_package(monkeypatch):
    """A driver that cannot be imported says what to install."""

    def lacking(_name: str) -> object:
        raise ModuleNotFoundError("No module named 'docker'", name="docker.errors")

    monkeypatch.setattr(doctor, "driver", lacking)
    assert doctor.targets()[0].remedy == "Python lacks docker: pip install docker"


def test_doctor_names_the_package_of_a_missing_program(monkeypatch):
    """Without iptables on the PATH doctor says which package has it."""
    monkeypatch.setenv("PATH", "/nowhere")
    remedies = {check.name: check.remedy for check in doctor.machine()}
    assert remedies["iptables"] == "apt-get install iptables"
    assert remedies["python"] == ""


def test_a_reader_that_goes_away_is_no_error(here):
    """`tcpspec coverage | head -1` ends quietly."""
    code = (
        "import os, sys; from harness import cli; read, write = os.pipe(); os.close(read); "
        "os.dup2(write, 1); sys.exit(cli.main(['coverage', '--testcases', sys.argv[1]]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(here / "testcases")],
        cwd=world.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.usefixtures("here")
def test_control_c_is_quiet(capsys, monkeypatch):
    """An interrupted command shows no traceback and ends with the shell's status for it."""

    def interrupted(**_options: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(Library, "load", interrupted)
    assert cli.main(["explain", "A"]) == cli.INTERRUPTED
    assert capsys.readouterr().err == ""


def test_the_command_runs_as_a_module_and_never_imports_pytest(here):
    """A process of its own does the work without pytest."""
    ended = world.command("compare", "none", cwd=here)
    assert (ended.returncode, ended.stderr.count("\n")) == (cli.USAGE, 1)
    code = "import sys, harness.cli; sys.exit('pytest' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=world.ROOT, timeout=60, check=True)


def test_a_target_that_is_named_is_started_and_described(capsys):
    """Its stack, its version, and what it can do and lacks are told."""
    assert cli.main(["targets", "model-rfc9293"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("model-rfc9293: model model of RFC 9293")
    assert "time      virtual" in shown
    assert "keepalive_time" in shown


def test_a_target_that_is_named_and_cannot_run_is_a_finding(capsys, monkeypatch):
    """The reason is told, and the exit status says it too."""
    kind = registry.driver("model-rfc9293")
    monkeypatch.setattr(kind, "missing", staticmethod(lambda: "install a model"))
    assert cli.main(["targets", "model-rfc9293"]) == common.DIFFERS
    assert capsys.readouterr().out == "model-rfc9293 cannot run here: install a model\n"
