"""Numbers within bounds, and what is said of the others."""

from __future__ import annotations

import math
import re

import pytest

from stratigraph.errors import ConfigError, InputError
from stratigraph.values import check_number, check_whole, is_number, is_whole, told_percent

NEITHER = [True, "1", None, [1], 1j]


def test_within_its_bounds_a_value_is_given_back():
    assert [check_whole("x", value, -2, 3) for value in (-2, 0, 3)] == [-2, 0, 3]
    assert check_whole("x", 10**400) == 10**400
    assert [check_number("x", value, 0, 1) for value in (0, 0.5, 1)] == [0, 0.5, 1]
    assert check_number("x", -1e300) == -1e300


def test_no_share_below_one_is_told_as_all():
    shares = (0.95, 0.9875, 0.9998, 0.99999917, 1.0)
    assert [told_percent(one) for one in shares] == ["95", "98.8", "99.98", "99.9999", "100"]


@pytest.mark.parametrize("value", [*NEITHER, 1.0, -3, 4, math.nan])
def test_what_is_no_such_whole_number_is_refused(value):
    text = f"x: expected a whole number from -2 to 3, got {value!r}."
    with pytest.raises(ConfigError, match=re.escape(text)):
        check_whole("x", value, -2, 3)


@pytest.mark.parametrize("value", [*NEITHER, math.nan, math.inf, -math.inf, 0, 1])
def test_what_is_no_such_number_is_refused(value):
    text = f"x: expected a number > 0 and < 1, got {value!r}."
    with pytest.raises(InputError, match=re.escape(text)):
        check_number("x", value, above=0, below=1, error=InputError)


def test_bounds_are_told_as_they_are():
    with pytest.raises(ConfigError, match=r"x: expected a whole number ≥ 1, got 0\."):
        check_whole("x", 0, 1)
    with pytest.raises(ConfigError, match=r"x: expected a number from 0\.5 to 2, got 3\."):
        check_number("x", 3, 0.5, 2)
    with pytest.raises(ConfigError, match=r"x: expected a number that is finite, got inf\."):
        check_number("x", math.inf)


def test_infinity_is_a_number_and_no_bool_is():
    assert is_number(math.inf)
    assert not (is_number(True) or is_whole(True) or is_whole(1.0))
