"""Progress: the line says what is waited for, and never runs over the edge."""

import threading

import pytest

from harness.reporting.progress import Progress


class Screen:
    """What a terminal shows of what was written to it."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows = [""]
        self.column = 0

    def write(self, text: str) -> None:
        for char in text:
            if char == "\r":
                self.column = 0
            elif char == "\n":
                self.rows.append("")
                self.column = 0
            else:
                assert self.column < self.width, "the line wraps"
                row = self.rows[-1].ljust(self.column)
                self.rows[-1] = row[: self.column] + char + row[self.column + 1 :]
                self.column += 1

    @property
    def text(self) -> str:
        return "\n".join(row.rstrip() for row in self.rows)


def on_terminal(width: int = 100, total: int | None = 212) -> tuple[Screen, Progress]:
    screen = Screen(width)
    return screen, Progress(screen.write, width, is_tty=True, total=total)


def test_the_line_says_what_is_waited_for_and_for_how_long():
    """Number done, number waiting, and each wait with its time and its nominal length."""
    screen, progress = on_terminal()
    progress.started("a::b", ["time_wait_duration", "time_wait_late_fin"], 60.0, 0.0)
    progress.started("a::c", ["syn_retry_ladder"], 131.0, 30.0)
    progress.finished("a::d", 31.0)
    progress.tick(41.0)
    assert screen.text == (
        "[  1/212] 2 waiting: syn_retry_ladder 11 s of 131 s, time_wait_duration 41 s of 60 s"
    )


def test_the_longest_wait_stands_first_and_what_has_no_room_is_left_out():
    """On a narrow terminal the line keeps what the run will wait for longest."""
    screen, progress = on_terminal(width=60)
    progress.started("a", ["short"], 5.0, 0.0)
    progress.started("b", ["long"], 100.0, 0.0)
    progress.started("c", ["a_measure_with_a_long_name"], 50.0, 0.0)
    assert screen.text == "[  0/212] 3 waiting: long 0 s of 100 s, …"


def test_the_line_is_rewritten_in_place_and_goes_away():
    """One line, with no remains of a longer one, and none at the end."""
    screen, progress = on_terminal(total=2)
    progress.started("a", ["a_long_measure_name"], 60.0, 0.0)
    progress.started("b", ["b"], 1.0, 0.0)
    progress.finished("a", 60.0)
    assert screen.text == "[1/2] 1 waiting: b 60 s of 1 s"
    progress.finished("b", 60.0)
    assert screen.text == ""
    assert screen.column == 0


def test_nothing_is_written_while_nothing_changes():
    """Two ticks in the same second write once."""
    written: list[str] = []
    progress = Progress(written.append, 80, is_tty=True, total=3)
    progress.started("a", ["a"], 60.0, 0.0)
    progress.tick(1.0)
    count = len(written)
    progress.tick(1.2)
    assert len(written) == count


def test_others_may_write_after_clear():
    """clear() takes the line away, and the next event shows it again."""
    screen, progress = on_terminal(total=1)
    progress.started("a", ["a"], None, 0.0)
    progress.clear()
    assert screen.text == ""
    screen.write("FAILED\n")
    progress.tick(1.0)
    assert screen.text == "FAILED\n[0/1] 1 waiting: a 1 s"


def test_after_the_end_nothing_is_shown():
    """A tick that comes late, from another thread, brings no line back."""
    screen, progress = on_terminal(total=1)
    progress.started("a", ["a"], None, 0.0)
    progress.end()
    progress.tick(1.0)
    progress.started("b", ["b"], None, 2.0)
    assert screen.text == ""


def test_ticks_of_another_thread_do_no_harm():
    """The line is whole whoever asks for it, while testcases come and go."""
    screen, progress = on_terminal(total=None)
    over = threading.Event()

    def tick() -> None:
        while not over.is_set():
            progress.tick(1.0)

    thread = threading.Thread(target=tick)
    thread.start()
    for number in range(500):
        progress.started(f"t{number}", [f"m{number}"], float(number), 0.0)
        progress.finished(f"t{number - 3}", 1.0)
    over.set()
    thread.join()
    progress.tick(1.0)
    assert screen.text.startswith("[500] 3 waiting: m499 1 s of 499 s")


def test_the_same_measure_of_both_families_stands_once():
    """Equal waits are counted, not repeated."""
    screen, progress = on_terminal(total=None)
    progress.started("a[ipv4]", ["time_wait_duration"], 60.0, 0.0)
    progress.started("a[ipv6]", ["time_wait_duration"], 60.0, 1.0)
    progress.tick(11.0)
    assert screen.text == "[0] 2 waiting: 2x time_wait_duration 10 s of 60 s"


def test_without_a_terminal_a_line_now_and_then_shows_life():
    """A log gets whole lines, 15 s apart, and only while something is waited for."""
    written: list[str] = []
    progress = Progress(written.append, 80, is_tty=False, total=9)
    progress.started("a", ["a"], 60.0, 100.0)
    for second in range(101, 140):
        progress.tick(float(second))
    progress.finished("a", 140.0)
    for second in range(140, 200):
        progress.tick(float(second))
    assert written == [
        "[0/9] 1 waiting: a 15 s of 60 s\n",
        "[0/9] 1 waiting: a 30 s of 60 s\n",
    ]


def test_a_short_run_leaves_no_line_in_a_log():
    """A run of a few seconds writes nothing where there is no terminal."""
    written: list[str] = []
    progress = Progress(written.append, 80, is_tty=False)
    progress.started("a", ["a"], 1.0, 1e9)
    progress.finished("a", 1e9 + 1)
    assert written == []


def test_a_second_attempt_counts_once():
    """A testcase that is tried again is under way again, not done twice."""
    screen, progress = on_terminal(total=2)
    progress.started("a", ["a"], 1.0, 0.0)
    progress.finished("a", 1.0)
    progress.started("a", ["a"], 1.0, 1.0)
    assert screen.text.startswith("[0/2]")
    progress.finished("a", 2.0)
    progress.started("b", ["b"], 1.0, 2.0)
    assert screen.text.startswith("[1/2]")


@pytest.mark.parametrize("width", [1, 5, 20, 30])
def test_a_narrow_terminal_is_never_overrun(width):
    """Whatever the width, the line fits (the screen asserts it)."""
    _, progress = on_terminal(width=width)
    progress.started("a\x1b", [], 60.0, 0.0)
    progress.started("x::test_\x1b]0;title\x07[netns]", [], 70.0, 0.0)
    assert "\x1b" not in progress.line(1.0)
