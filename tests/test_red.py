"""What turns each testcase red: the list that is kept beside the testcases."""

import re
import tomllib
from pathlib import Path

from harness import sabotage
from harness.reporting.sabotage import read_list

ROOT = Path(__file__).parent.parent
LIST = ROOT / "testcases/red.toml"
NAMES = {
    f"{path.relative_to(ROOT).as_posix()}::{name}"
    for path in ROOT.glob("testcases/*/test_*.py")
    for name in re.findall(r"^def (test_\w+)\(", path.read_text("utf-8"), re.MULTILINE)
}


def test_each_testcase_stands_in_the_list_once():
    """With what turns it red, or with why nothing does."""
    tables = tomllib.loads(LIST.read_text("utf-8"))
    listed = [name for table in tables.values() for name in table]
    assert sorted(listed) == sorted(NAMES)
    assert all(tables["none"].values())


def test_every_sabotage_of_the_list_is_one():
    """It can be given to pytest as it stands there."""
    means = read_list(LIST)
    for name in sabotage.read(LIST):
        assert means[name].startswith("--sabotage ")
