"""Events of one instant and the ways through them."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages.paths import Event, path


def events(*edges: tuple[int, int] | tuple[int, int, str]) -> list[Event]:
    return [Event(n, (edge[0],), edge[1], edge[2] if len(edge) > 2 else None) for n, edge in enumerate(edges)]


@pytest.mark.parametrize(
    ("case", "shown", "start", "ends", "order", "only"),
    [
        ("as shown", events((0, 5), (5, 8)), 0, (), [0, 1], True),
        ("newest first", events((5, 8), (0, 5)), 0, (), [1, 0], True),
        ("a start nobody knows follows from the degrees", events((5, 8), (0, 5)), None, (), [1, 0], True),
        ("a circle begins where the day began", events((5, 0), (0, 5)), 0, (), [1, 0], True),
        ("a circle whose start nobody knows ends where the next begins", events((5, 0), (0, 5)), None, (5,), [0, 1], True),
        ("a circle nobody knows anything of", events((5, 0), (0, 5)), None, (), [0, 1], False),
        ("two circles through one balance", events((0, 1), (1, 0), (0, 2), (2, 0)), 0, (), [0, 1, 2, 3], False),
        ("the same twice is one way", events((0, 1), (1, 0), (0, 1)), 0, (), [0, 1, 2], True),
        ("the same twice, told apart by words", events((0, 1, "fee"), (1, 0), (0, 1, "match")), 0, (), [0, 1, 2], False),
        ("nothing moved, at the end", events((5, 5), (0, 5)), 0, (), [1, 0], True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_paths(case, shown, start, ends, order, only) -> None:
    got = path(shown, start, ends)
    assert got.whole, case
    assert (got.order, got.only) == (order, only), case


def test_what_does_not_chain_is_pieced_together_from_its_start_to_where_the_next_begins() -> None:
    got = path(events((7, 9), (3, 4), (0, 1), (1, 2)), start=0, ends=(4,))
    assert got.order == [2, 3, 0, 1]
    assert not got.whole
    assert not got.only


def test_an_event_that_may_have_begun_at_either_side_is_read_as_the_one_that_chains() -> None:
    either = [Event(0, (4, 6), 5), Event(1, (3, 7), 6)]  # 5 was reached by 1 up or down, 6 by 3 up or 1 … down
    got = path(either, start=7, ends=())
    assert got.order == [1, 0]
    assert got.only


def chained(shown: list[Event], order: tuple[int, ...] | list[int], start: int) -> int | None:
    node: object = start
    for n in order:
        if shown[n].befores[0] != node:
            return None
        node = shown[n].after
    return node  # type: ignore[return-value]


@given(st.lists(st.sampled_from([-2, -1, 1, 2]), min_size=1, max_size=6), st.randoms())
def test_the_path_is_found_and_called_the_only_one_exactly_when_it_is(amounts: list[int], random) -> None:
    balances = [sum(amounts[:n]) for n in range(len(amounts) + 1)]
    edges = list(pairwise(balances))
    random.shuffle(edges)
    shown = events(*edges)
    ways = {tuple(edges[n] for n in p) for p in permutations(range(len(edges))) if chained(shown, p, 0) is not None}
    got = path(shown, start=0)
    assert chained(shown, got.order, 0) == balances[-1], "and every way ends at the same balance"
    assert got.whole
    assert got.only == (len(ways) == 1)
