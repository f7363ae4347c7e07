"""Markers: what testcases measure is read from their source, and nothing is imported."""

import textwrap

import pytest

from harness.errors import UsageError
from harness.reporting.marked import scan


def write(folder, text, name="test_a.py"):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text))
    return file


def test_names_of_decorators_classes_and_modules_are_found(tmp_path):
    """Markers count wherever pytest looks for them, each with its line."""
    file = write(
        tmp_path,
        """
        import pytest
        from pytest import mark
        raise SystemExit("never imported")
        pytestmark = [pytest.mark.measures("m"), pytest.mark.slow]

        @pytest.mark.measures("a", "b")
        @pytest.mark.families("ipv4")
        def test_one(): ...

        @mark.measures("c")
        class TestTwo:
            pytestmark = mark.measures("d")
            def test_three(self): ...
            def helper(self): ...

        @pytest.fixture
        def measures(): ...
        """,
    )
    found = [(one.function, one.measure, one.line) for one in scan(file)]
    assert found == [
        ("test_one", "m", 5),
        ("test_one", "a", 7),
        ("test_one", "b", 7),
        ("TestTwo::test_three", "m", 5),
        ("TestTwo::test_three", "c", 11),
        ("TestTwo::test_three", "d", 13),
    ]


def test_a_folder_is_scanned_in_order(tmp_path):
    """Only test files count, in any depth, and names are relative to a root."""
    for name in ("b/test_b.py", "a/test_a.py", "a/helper.py"):
        write(tmp_path, "@pytest.mark.measures('x')\ndef test_x(): ...\n", name)
    names = [one.name(tmp_path) for one in scan(tmp_path)]
    assert names == ["a/test_a.py::test_x", "b/test_b.py::test_x"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("def test_x(:\n", "test_a.py:1: not Python"),
        ("x = 'a\0b'\n", "test_a.py:1: not Python"),
        ("\n@pytest.mark.measures(NAME)\ndef test_x(): ...\n", "test_a.py:2: measures takes names"),
        ("@pytest.mark.measures(*NAMES)\ndef test_x(): ...\n", "test_a.py:1: measures takes names"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path, text, wrong):
    """A broken file or a computed marker is a user's mistake with file and line."""
    with pytest.raises(UsageError, match="test_a") as raised:
        scan(write(tmp_path, text))
    assert wrong in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    """A file that does not exist is told in one line."""
    with pytest.raises(UsageError, match="No such file"):
        scan(tmp_path / "test_none.py")
