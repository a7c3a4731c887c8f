"""Measured results → a Markdown table and an SVG bar chart. Nothing is measured here."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

Result = dict[str, Any]
SAYS = {
    "floor": "floor: read the columns once, write the rows once, no logic",
    "engine": "Closebook: rebuild a year of daily balances",
    "sql_asof": "pure DuckDB: as-of join",
    "sql_group": "pure DuckDB: group by day and fill",
    "sql_whole": "pure DuckDB: group by day and fill, with the balance from amounts and the marks: the rows of Closebook",
    "polars": "Polars: join_asof",
    "pandas": "pandas: merge_asof",
    "hledger": "hledger: reading a journal and printing every daily balance; no database",
    "again": "rebuild a year that is closed already: nothing is written",
    "prices_and_values": "rebuild balances, prices and values; its floor reads once and writes both tables once",
    "floor_values": "floor of balances and values",
    "one_more_day": "one more day",
    "same_day": "one more day of 10,000 accounts and 27,397 postings, on a history of this length",
    "any_second": "one portfolio at any second",
    "publish": "publish the book; its floor is copying the file's bytes",
}


def markdown(results: list[Result]) -> str:
    lines = [
        "# How fast",
        "",
        "Written by `make bench`. Seconds are medians of runs that took turns, each in a process of its own, from DuckDB to DuckDB;",
        "processor seconds count the work of all cores, and no other program's. Ratios are of seconds; in brackets, of processor seconds.",
        "",
        "| postings | work | seconds | fastest | processor | of the floor | of bare SQL | of SQL of the same rows | peak MB | MB written |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(_row(r) for r in results),
        "",
        *_what_they_do(),
        *_reach(results),
        *sorted({_about(r) for r in results}),
        "",
        "![rebuilding a year](rebuild.svg)",
    ]
    return "\n".join(lines) + "\n"


def _row(r: Result) -> str:
    ratios = " | ".join(_ratio(r, name) for name in ("ratio_floor", "ratio_sql", "ratio_whole"))
    written = f"{r['bytes'] / 1e6:.0f}" if "ratio_floor" in r and "bytes" in r else ""
    cpu = f"{r['cpu']:.3f}" if "cpu" in r else ""
    fastest = f"{min(r['all']):.3f}" if len(r.get("all", ())) > 1 else ""
    return f"| {_size(r)} | {SAYS[r['work']]} | {r['seconds']:.3f} | {fastest} | {cpu} | {ratios} | {r['peak_mb']} | {written} |"


def _ratio(r: Result, name: str) -> str:
    if name not in r:
        return ""
    cpu = f" ({r[f'cpu_{name}']:.2f})" if f"cpu_{name}" in r else ""
    return f"{r[name]:.2f}{cpu}"


def _size(r: Result) -> str:
    millions = r["millions"]
    return f"{millions:g} M" if millions >= 1 else f"{millions * 1000:g} k"


def _what_they_do() -> list[str]:
    return [
        "Bare SQL, Polars and pandas carry forward what the venue last reported: they look at no amount, check no chain and mark no",
        "account, so that their rows are ours only in a book in which nothing is wrong. Every peer's rows and their sum are held against",
        "Closebook's in each run. The SQL that makes the same rows adds amounts up beside what was reported, and tells the two apart.",
        "",
    ]


def _reach(results: list[Result]) -> list[str]:
    """How far any program could be below SQL: none is faster than the floor."""
    by_size: dict[float, dict[str, Result]] = {}
    for r in results:
        by_size.setdefault(r["millions"], {})[r["work"]] = r
    lines = [
        _reached(works) for works in by_size.values() if {"floor", "engine", "sql_asof"} <= works.keys() and works["floor"]["millions"] >= 1
    ]
    return [*lines, ""]


def _reached(works: dict[str, Result]) -> str:
    """In processor time where it was measured: on a machine that others use, seconds say little."""
    unit, name = ("cpu", "processor seconds") if all("cpu" in r for r in works.values()) else ("seconds", "seconds")
    floor, engine = works["floor"][unit], works["engine"][unit]
    best = min(works[n][unit] for n in ("sql_asof", "sql_group") if n in works)
    below = ", so that nothing that reads and writes these rows reaches it" if best / 3 < floor else ""
    return (
        f"- {_size(works['floor'])}: a third of the best bare SQL is {best / 3:.2f} {name}; the floor alone takes {floor:.2f}{below}. "
        f"Closebook takes {engine:.2f}; what lies above the floor is {max(engine - floor, 0) / max(best - floor, 1e-9):.2f} of what it is "
        "for the SQL, which looks at no amount."
    )


def _about(r: Result) -> str:
    m = r["machine"]
    packages = ", ".join(f"{name} {m[name]}" for name in ("duckdb", "polars", "numpy", "pandas"))
    return (
        f"- {_size(r)} postings ({r['layout']} order), {r['date']}: {m['cores']} cores, {m['memory_gb']} GB, "
        f"Python {m['python']}, {packages}; up to {r['rounds']} rounds; "
        f"load of the machine {r['load']}" + (": not alone, so that seconds and ratios are rough" if r["load"] > m["cores"] else "")
    )


def svg(results: list[Result]) -> str:
    """One bar a work, in multiples of the floor of its size."""
    bar, left, scale = 22, 330, 60
    height = bar * len(results) + 40
    longest = max(r["ratio_floor"] for r in results)
    unit = min(scale, 560 / longest)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="960" height="{height}" font-family="sans-serif" font-size="12">']
    parts.append('<text x="8" y="16">Time to rebuild a year, in multiples of the floor of the same size</text>')
    for n, r in enumerate(results):
        y = 30 + n * bar
        colour = {"engine": "#1f6f54", "floor": "#999999"}.get(r["work"], "#c9a227")
        parts.append(f'<text x="8" y="{y + 13}">{_size(r)} · {escape(SAYS[r["work"]].split(":")[0])} ({escape(r["work"])})</text>')
        parts.append(f'<rect x="{left}" y="{y}" width="{unit * r["ratio_floor"]:.1f}" height="{bar - 6}" fill="{colour}"/>')
        text = f"{r['ratio_floor']:.2f} × ({r['seconds']:.2f} s)"
        parts.append(f'<text x="{left + unit * r["ratio_floor"] + 6:.1f}" y="{y + 13}">{text}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
