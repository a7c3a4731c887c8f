"""Events of one instant → an order in which each begins where the last one ended. Plain Python; no frames, no venues.

An event is an edge from the balance before it to the balance after it, so an order is a path that uses every edge once. Whether
there is one, and where it ends, follows from the nodes' degrees alone: every such path ends at the same balance.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product

Node = Hashable
MOST_READINGS = 64
"""Ways of reading events that could have begun at several balances, before the first that fits is taken for good."""
MOST_TESTED = 300
"""Events of one instant up to which the path is tested for being the only one."""


@dataclass(frozen=True)
class Event:
    """An edge: where it may have begun, likeliest first, where it ended; `words` tell it from others of the same balances."""

    number: int
    befores: tuple[Node, ...]
    after: Node
    words: Hashable = None


@dataclass(frozen=True)
class Path:
    """Event numbers in order; `only`: no other order chains; `whole`: it chains from its start on."""

    order: list[int]
    only: bool
    whole: bool


@dataclass(frozen=True)
class _Edge:
    number: int
    before: Node
    after: Node
    words: Hashable


def path(events: Sequence[Event], start: Node | None, ends: Collection[Node] = ()) -> Path:
    """The order of these events. `start`: the balance before them, where known; `ends`: where the next event may begin."""
    found: list[Path] = []
    for edges in islice(_readings(events, start), MOST_READINGS):
        if (begin := _begins(edges, start, ends)) is not None:
            found.append(_walk(edges, *begin))
            if not found[-1].only:
                break
    if not found:
        return Path(_pieced_together([_edge(e, e.befores[0]) for e in events], start, ends), only=False, whole=False)
    return Path(found[0].order, all(other.only and other.order == found[0].order for other in found), whole=True)


def _readings(events: Sequence[Event], start: Node | None) -> Iterator[list[_Edge]]:
    nodes = {event.after for event in events} | {start}
    plausible = [tuple(b for b in event.befores if b in nodes) or event.befores[:1] for event in events]
    for befores in product(*plausible):
        yield [_edge(event, before) for event, before in zip(events, befores, strict=True)]


def _edge(event: Event, before: Node) -> _Edge:
    return _Edge(event.number, before, event.after, event.words)


def _begins(edges: Sequence[_Edge], start: Node | None, ends: Collection[Node]) -> tuple[Node, bool] | None:
    """Where a path over all edges begins, and whether it could begin nowhere else; None where there is no such path."""
    surplus = _surplus(edges)
    if any(abs(n) > 1 for n in surplus.values()) or len(surplus) > 2 or len(_pieces(edges)) > 1:
        return None
    beginning = [node for node, n in surplus.items() if n == 1]
    if beginning:
        return (beginning[0], True) if start in (None, beginning[0]) else None
    nodes = {edge.before for edge in edges}
    if start is not None:
        return (start, True) if start in nodes else None
    closing = [node for node in dict.fromkeys(edge.before for edge in edges) if node in ends]
    return (closing[0] if closing else edges[0].before, len(closing) == 1 or len(nodes) == 1)


def _surplus(edges: Sequence[_Edge]) -> dict[Node, int]:
    """Edges that leave a node less those that reach it, where they differ."""
    degrees: Counter[Node] = Counter()
    for edge in edges:
        degrees[edge.before] += 1
        degrees[edge.after] -= 1
    return {node: n for node, n in degrees.items() if n}


def _pieces(edges: Sequence[_Edge]) -> list[list[_Edge]]:
    """Edges that hang together, in the order shown."""
    near: dict[Node, list[Node]] = defaultdict(list)
    for edge in edges:
        near[edge.before].append(edge.after)
        near[edge.after].append(edge.before)
    piece: dict[Node, int] = {}
    for edge in edges:
        if edge.before not in piece:
            number, waiting = len(set(piece.values())), [edge.before]
            while waiting:
                node = waiting.pop()
                if node not in piece:
                    piece[node] = number
                    waiting += near[node]
    found: dict[int, list[_Edge]] = defaultdict(list)
    for edge in edges:
        found[piece[edge.before]].append(edge)
    return list(found.values())


def _walk(edges: Sequence[_Edge], start: Node, only: bool) -> Path:
    """All edges from `start` on; at every fork the first shown that strands none of the others."""
    if len(edges) > MOST_TESTED:
        return Path(_circuit(edges, start), only=False, whole=True)
    left = sorted(edges, key=lambda e: e.number)
    order: list[int] = []
    node = start
    while left:
        fork = list({(e.after, e.words): e for e in reversed(left) if e.before == node}.values())
        if len(fork) > 1:
            fork = [e for e in fork if _reaches_all(e.after, [o for o in left if o is not e])]
        chosen = min(fork, key=lambda e: e.number)
        only &= len(fork) == 1
        left.remove(chosen)
        order.append(chosen.number)
        node = chosen.after
    return Path(order, only, whole=True)


def _reaches_all(node: Node, edges: Sequence[_Edge]) -> bool:
    return not edges or (len(_pieces(edges)) == 1 and any(node in (e.before, e.after) for e in edges))


def _circuit(edges: Sequence[_Edge], start: Node) -> list[int]:
    """Hierholzer's way: linear, and blind to other orders."""
    out: dict[Node, list[_Edge]] = defaultdict(list)
    for edge in sorted(edges, key=lambda e: -e.number):
        out[edge.before].append(edge)
    order: list[int] = []
    stack: list[tuple[Node, int | None]] = [(start, None)]
    while stack:
        node, number = stack[-1]
        if out[node]:
            edge = out[node].pop()
            stack.append((edge.after, edge.number))
        else:
            stack.pop()
            if number is not None:
                order.append(number)
    return order[::-1]


def _pieced_together(edges: Sequence[_Edge], start: Node | None, ends: Collection[Node]) -> list[int]:
    """As few breaks as can be: pieces one after the other, the one that begins at `start` first, one that may end well last."""

    def rank(piece: list[_Edge]) -> tuple[bool, bool, int]:
        return start not in {e.before for e in piece}, any(e.after in ends for e in piece), min(e.number for e in piece)

    return [number for piece in sorted(_pieces(edges), key=rank) for number in _trails(piece, start, ends)]


def _trails(piece: Sequence[_Edge], start: Node | None, ends: Collection[Node]) -> list[int]:
    """One walk over a piece; where it cannot go on it leaps, by edges that are no event."""
    surplus = _surplus(piece)
    begins = [node for node, n in surplus.items() for _ in range(n)]
    stops = [node for node, n in surplus.items() for _ in range(-n)]
    begin = next((node for node in (start, *begins) if node in begins), start if not begins and start in surplus else piece[0].before)
    if begins:
        begins.remove(begin)
        stops.remove(next((node for node in stops if node in ends), stops[-1]))
    leaps = [_Edge(-1, stop, on, None) for stop, on in zip(stops, begins, strict=True)]
    return [number for number in _circuit([*piece, *leaps], begin) if number >= 0]
