"""Sample: which testcases stand for a file."""

from harness.plugin.sample import sample


def test_the_longest_that_are_short_enough_stand_for_a_file():
    """Every file is in a sample; a testcase has both its families."""
    testcases = [
        ("a.py", "quick", 0.0),
        ("a.py", "slow", 20.0),
        ("a.py", "slow", 20.0),
        ("a.py", "endless", 7200.0),
        ("b.py", "first", 0.0),
        ("b.py", "second", 0.0),
    ]
    assert sample(testcases, 1) == {("a.py", "slow"), ("b.py", "first")}
    assert len(sample(testcases, 2)) == 4


def test_a_file_of_long_testcases_is_not_forgotten():
    """Its shortest is taken."""
    assert sample([("a.py", "long", 75.0), ("a.py", "longer", 300.0)], 1) == {("a.py", "long")}
