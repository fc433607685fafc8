"""A signal ends long calls of the core, which would take minutes to days."""

import signal

import pytest

from na64root.limits import CountingModel, experiment
from na64root.limits.own_toys import OwnToys
from na64root.work import Work


class SignalledError(Exception):
    """By the handler of the signal."""


def bins(number):
    return CountingModel.from_lists(
        observed=[1] * number,
        background=[0.5] * number,
        background_uncertainty=[0.2] * number,
        signal_fraction=[1.0 + i for i in range(number)],
    )


@pytest.fixture
def signalled():
    """A signal soon, whose handler raises."""

    def raised(*_):
        raise SignalledError

    before = signal.signal(signal.SIGALRM, raised)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("signalled")
@pytest.mark.parametrize("treatment", ["none", "hybrid"])
@pytest.mark.parametrize(
    ("method", "arguments"),
    [("interval", (0.9,)), ("two_sided_p_value", (12.0,)), ("discovery", ()), ("expected_limits", (0.9,))],
)
def test_enumerations(method, arguments, treatment):
    engine = experiment(bins(16), treatment)
    with pytest.raises(SignalledError):
        getattr(engine, method)(*arguments)


@pytest.mark.usefixtures("signalled")
def test_limit_with_auxiliary_measurements():
    with pytest.raises(SignalledError):
        experiment(bins(16), "frequentist").upper_limit(0.9)


@pytest.mark.usefixtures("signalled")
@pytest.mark.parametrize("threads", [1, 2])
def test_toys(threads):
    toys = OwnToys(bins(16), "frequentist", Work(threads=threads))
    with pytest.raises(SignalledError):
        toys.run([(5.0, 10_000_000, 10)])
