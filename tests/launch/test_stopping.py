import signal

import pytest

from launch.run_folder import Progress
from launch.stopping import stop_between_intervals, stop_the_loop


@pytest.fixture(autouse=True)
def a_shell_in_the_foreground():
    """Ctrl-C is ignored in what a shell started in the background; these tests send it to themselves."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


PROGRESS = Progress(interval=1, intervals=8, time_s=0, letters=0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_stops_after_the_interval_in_which_it_was_asked_to(number):
    reported = []
    with stop_between_intervals(reported.append) as report:
        report(PROGRESS)
        signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            report(PROGRESS)
    assert reported == [PROGRESS, PROGRESS]


def test_asking_twice_stops_at_once():
    with stop_between_intervals(lambda progress: None):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_termination_is_a_ctrl_c_for_the_loop_and_only_while_it_runs():
    before = signal.getsignal(signal.SIGTERM)
    with stop_the_loop(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
