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
    "polars": "Polars: join_asof",
    "pandas": "pandas: merge_asof",
    "again": "rebuild a year that is closed already: nothing is written",
    "prices_and_values": "rebuild balances, prices and values; its floor reads once and writes both tables once",
    "floor_values": "floor of balances and values",
    "one_more_day": "one more day",
    "any_second": "one portfolio at any second",
    "publish": "publish the book; its floor is copying the file's bytes",
}


def markdown(results: list[Result]) -> str:
    lines = [
        "# How fast",
        "",
        "Written by `make bench`. Seconds are medians of runs that took turns, each in a process of its own, from DuckDB to DuckDB.",
        "Pure SQL, Polars and pandas only carry forward what the venue last reported: they check no chain, and mark no account.",
        "",
        "| postings | work | seconds | of the floor | of the best SQL | peak MB | MB written |",
        "|---:|---|---:|---:|---:|---:|---:|",
        *(_row(r) for r in results),
        "",
        *sorted({_about(r) for r in results}),
        "",
        "![rebuilding a year](rebuild.svg)",
    ]
    return "\n".join(lines) + "\n"


def _row(r: Result) -> str:
    ratios = " | ".join(f"{r[name]:.2f}" if name in r else "" for name in ("ratio_floor", "ratio_sql"))
    written = f"{r['bytes'] / 1e6:.0f}" if "ratio_floor" in r and "bytes" in r else ""
    return f"| {r['millions']} M | {SAYS[r['work']]} | {r['seconds']:.3f} | {ratios} | {r['peak_mb']} | {written} |"


def _about(r: Result) -> str:
    m = r["machine"]
    packages = ", ".join(f"{name} {m[name]}" for name in ("duckdb", "polars", "numpy", "pandas"))
    return (
        f"- {r['millions']} M postings ({r['layout']} order), {r['date']}: {m['cores']} cores, {m['memory_gb']} GB, "
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
        parts.append(f'<text x="8" y="{y + 13}">{r["millions"]} M · {escape(SAYS[r["work"]].split(":")[0])} ({escape(r["work"])})</text>')
        parts.append(f'<rect x="{left}" y="{y}" width="{unit * r["ratio_floor"]:.1f}" height="{bar - 6}" fill="{colour}"/>')
        text = f"{r['ratio_floor']:.2f} × ({r['seconds']:.2f} s)"
        parts.append(f'<text x="{left + unit * r["ratio_floor"] + 6:.1f}" y="{y + 13}">{text}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
