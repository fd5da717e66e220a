"""An engine that promises what it does not keep is found out, in words."""

from dataclasses import replace

import pytest
import torch

from stratigraph.engine import Outcome
from stratigraph.engine.protocol import Failure, raised
from stratigraph.engine.words import speaking
from stratigraph.testing import engines


class Here:
    """The simplest engine that is one: each task in turn, in this process."""

    name, workers = "here", 1

    def map(self, function, tasks, *, tick=None, heard=None):
        for index, task in enumerate(tasks):
            speak = heard and (lambda facts, index=index: heard(index, facts))
            with speaking(speak):
                yield self.run(function, index, task)

    def run(self, function, index, task):
        try:
            return Outcome(index, function(task))
        except Exception as error:
            return Outcome(index, failure=raised(error))


class Forgetful(Here):
    def map(self, function, tasks, **more):
        return (one for one in super().map(function, tasks, **more) if one.index != 4)


class Wrong(Here):
    def run(self, function, index, task):
        return replace(super().run(function, index, task), value=0)


class Brittle(Here):
    def run(self, function, index, task):
        return Outcome(index, function(task))


class Wordless(Here):
    def run(self, function, index, task):
        found = super().run(function, index, task)
        return found if found.failure is None else Outcome(index, failure=Failure("raised", ""))


class Unpicklable(Here):
    def run(self, function, index, task):
        found = super().run(function, index, task)
        if found.failure is None:
            return found
        return replace(found, failure=replace(found.failure, error=Exception("of this process")))


class Silent(Here):
    """A task whose process died has no failure."""

    def run(self, function, index, task):
        return (
            Outcome(index)
            if function is engines.die_on_two and index == 2
            else super().run(function, index, task)
        )


class Greedy(Here):
    def map(self, function, tasks, **more):
        return super().map(function, list(tasks), **more)


class Threaded(Here):
    def run(self, function, index, task):
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            return super().run(function, index, task)
        finally:
            torch.set_num_threads(before)


class Deaf(Here):
    def map(self, function, tasks, *, tick=None, heard=None):
        return super().map(function, tasks)


BROKEN = [  # an engine, the check that refuses it, and what it says
    (object(), "outcomes", "expected a stratigraph.engine.Engine, got <object"),
    (Forgetful(), "outcomes", r"an outcome of each of the tasks \[0, 1, .*, got \[0, 1, 2, 3, 5"),
    (Wrong(), "outcomes", "expected 1 of task 1, got Outcome"),
    (Wordless(), "exceptions", r"expected the failure \('raised', 'ValueError: three .* got"),
    (
        Unpicklable(),
        "errors_that_cannot_travel",
        r"expected a failure .* None\), got .*of this pro",
    ),
    (Silent(), "killed_processes", r"whose process died: expected 'killed', got Outcome\(index=2"),
    (Greedy(), "laziness", r"50 of 50 tasks were read .* of 1 worker\(s\); expected 2 at most"),
    (Threaded(), "threads", "expected 1 of task 0, got Outcome.*value=2"),
    (Deaf(), "hearing", "expected 'heard-0' of task 0, got .*nobody heard"),
]


def check_of(name):
    (found,) = (check for check in engines.CHECKS if check.__name__ == f"check_{name}")
    return found


@pytest.mark.parametrize(("engine", "name", "text"), BROKEN)
def test_a_promise_that_is_not_kept(engine, name, text, monkeypatch):
    monkeypatch.setattr(engines, "PATIENCE", 0.05)
    with pytest.raises(AssertionError, match=text):
        check_of(name)(engine)


def test_an_engine_that_lets_errors_out():
    with pytest.raises(ValueError, match="three is not welcome"):
        check_of("exceptions")(Brittle())


@pytest.mark.parametrize("check", engines.CHECKS)
def test_the_simplest_engine_is_one(check):
    check(Here())


def test_every_check_has_an_engine_that_fails_it():
    assert {f"check_{name}" for _, name, _ in BROKEN} == {c.__name__ for c in engines.CHECKS}
