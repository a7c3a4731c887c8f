"""Who may import whom and what; what loading the definitions costs; the shape of the graph."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pipelines"
LAYERS = {
    # module (longest match wins): (of ours, libraries); "*" = everything but defs
    "errors": ("", ""),
    "pages": ("", ""),
    "tables": ("errors", "polars"),
    "config": ("config errors", "pydantic pydantic_settings"),
    "labels": ("config tables", "polars"),
    "home": ("errors", ""),
    "archive": ("errors home pages", "pyarrow"),
    "journal": ("errors home", ""),
    "envelopes": ("errors home", "cryptography"),
    "register": ("errors home journal tables", ""),
    "issuing": ("*", "polars"),
    "outgoing": ("*", "typer"),
    "decisions": ("errors histories journal journalled locks postclose tables", "polars"),
    "locks": ("book histories journal", ""),
    "postclose": ("histories journal locks stages tables warehouse", "polars"),
    "inbox": ("*", "polars typer"),
    "warehouse": ("errors tables", "duckdb polars pyarrow"),
    "older": ("tables", "duckdb"),
    "publications": ("errors home journal older tables warehouse", "duckdb polars"),
    "progress": ("", ""),
    "venues": ("errors config pages progress tables venues", "httpx msgspec polars stamina"),
    "venues.http": ("errors config pages progress venues", "httpx stamina"),
    "venues.limits": ("errors config", ""),
    "stages": ("errors tables stages", "polars"),
    "stages.kernel": ("errors tables stages", "numpy polars"),
    "stages.following": ("errors", "numpy polars"),
    "stages.chain": ("tables stages", "numpy polars"),
    "lateness": ("archive closing config errors home journal publications", ""),
    "walks": ("histories pages stages tables venues warehouse", "polars"),
    "dirty": ("stages tables warehouse", "polars"),
    "accounts": ("config dirty errors histories labels pages stages tables warehouse", "polars"),
    "configuring": ("accounts book config dirty errors labels tables warehouse", "polars"),
    "proving": ("dirty histories stages tables warehouse", "polars"),
    "ingest": ("accounts archive config dirty errors pages proving stages tables venues walks warehouse", "polars"),
    "hours": ("config warehouse", "polars"),
    "pull": ("archive config errors hours pages progress stages tables venues walks warehouse", "polars"),
    "facts": ("histories stages tables", "polars"),
    "histories": ("stages tables", "polars"),
    "book": ("config errors facts histories stages tables", "polars"),
    "pieces": ("histories tables warehouse", "polars"),
    "closing": ("book config errors facts histories pieces stages tables warehouse", "polars"),
    "touched": ("", "polars"),
    "quality": ("errors tables touched", "polars great_expectations sqlalchemy duckdb_engine"),
    "quality_dialect": ("", "duckdb_engine"),
    "verify": ("", ""),
    "recompute": ("", ""),
    "exports": ("errors tables exports", "polars typst xlsxwriter"),
    "evidence": ("book stages tables", "polars"),
    "explain": ("book errors evidence exports", "polars"),
    "statements": ("book errors evidence exports stages tables", "polars"),
    "revisions": ("exports stages tables", "polars"),
    "proof": ("exports stages statements tables", "polars"),
    "filing": (
        "book config envelopes errors exports home proof publications recompute revisions statements tables telling verify",
        "polars",
    ),
    "adjusting": ("errors histories home journal journalled locks tables", ""),
    "journalled": ("journal register tables warehouse", ""),
    "telling": ("errors home journal locks publications tables", ""),
    "screen": ("book errors exports progress", "polars rich"),
    "sandbox": ("errors sandbox", "polars starlette uvicorn numpy"),
    "reports": ("book config errors filing home mail publications reports statements tables telling", "pydantic sqlalchemy"),
    "reports.api": ("errors reports", "fastapi fastapi_offline starlette"),
    "reports.door": ("errors reports", "starlette"),
    "reports.serve": ("config errors reports", "starlette uvicorn"),
    "reports.vault": ("errors home", "cryptography"),
    "reports.commands": ("*", "typer"),
    "comparing": ("archive book config errors home journal pages publications replay stages tables telling venues warehouse", "polars"),
    "doctor": ("*", ""),
    "demo": ("*", ""),
    "running": ("*", ""),
    "rates": ("config errors journal stages tables warehouse", "polars"),
    "reach": ("book closing config journal stages tables warehouse", "polars"),
    "replay": ("archive config configuring errors ingest journal proving rates reach stages warehouse", ""),
    "rebuilding": ("archive config home ingest journal journalled replay warehouse", ""),
    "backups": ("archive errors home publications warehouse", ""),
    "upkeep": ("*", "typer"),
    "mail": ("config", ""),
    "alerts": ("config errors home mail", "httpx pydantic"),
    "ui": ("*", "dagster"),
    "options": ("config errors home", "typer"),
    "cli": ("*", "click typer"),
    "defs": ("*", "dagster polars"),
    "definitions": ("*", "dagster"),
}
STARTS_RUNS = ("demo", "running", "ui", "definitions")
"""What may import defs: the entry point, and the commands that start a run."""


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py" or p.stat().st_size)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def rule_for(name: str) -> tuple[str, str]:
    prefixes = [".".join(name.split(".")[:n]) for n in range(len(name.split(".")), 0, -1)]
    return next((LAYERS[p] for p in prefixes if p in LAYERS), ("", ""))


def imports(path: Path) -> set[str]:
    """Every module a file imports, `from pipelines import x` as pipelines.x."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "pipelines":
            found |= {f"pipelines.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    ours, libraries = rule_for(name_of(path))
    for imported in imports(path):
        top, _, rest = imported.partition(".")
        if top == "pipelines":
            if (target := rest.split(".")[0]) in ("__version__", ""):
                continue
            if target == "defs":
                assert name_of(path).split(".")[0] in ("defs", *STARTS_RUNS), f"{imported} is for those who start runs"
            else:
                assert ours == "*" or target in ours.split(), f"{name_of(path)} may not import {imported}"
        elif top not in sys.stdlib_module_names:
            assert top in libraries.split(), f"{name_of(path)} may not use {top}"


def test_wire_readers_never_speak_http_and_clients_never_read_frames() -> None:
    for path in (PACKAGE / "venues").rglob("*.py"):
        used = {i.split(".")[0] for i in imports(path)}
        if path.stem == "wire":
            assert "httpx" not in used, path
        if path.stem in ("client", "http"):
            assert "polars" not in used, path


def test_only_the_configuration_reads_the_environment() -> None:
    may = {
        "config.secrets",
        "defs.runs",
        "ui",
        "quality",
    }  # DAGSTER_HOME and a child's environment are written; GX's switch is set before its import
    readers = {name_of(p) for p in modules() if "os.environ" in p.read_text(encoding="utf-8")}
    assert readers <= may


def test_definitions_load_without_a_configuration_and_without_slow_libraries(tmp_path: Path) -> None:
    script = (
        "import sys, pipelines.definitions as d; "
        "print([m for m in ('great_expectations', 'pandas', 'sqlalchemy.dialects.postgresql') if m in sys.modules])"
    )
    env = {"PATH": "/usr/bin:/bin", "CLOSEBOOK_CONFIG": str(tmp_path / "none.toml"), "CLOSEBOOK_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_the_graph_is_this_one() -> None:
    from pipelines.definitions import defs

    graph = defs.resolve_asset_graph()
    edges = {key.to_user_string(): sorted(p.to_user_string() for p in graph.get(key).parent_keys) for key in graph.get_all_asset_keys()}
    assert edges == {
        "pages": [],
        "postings": ["pages"],
        "candle_pages": ["postings"],
        "candles": ["candle_pages", "postings"],
        "daily_balances": ["postings"],
        "daily_prices": ["candles", "postings"],
        "daily_values": ["daily_balances", "daily_prices"],
        "candidate": ["daily_values"],
        "publication": ["candidate"],
        "statements": ["publication"],
    }
    assert set(graph.get_all_asset_keys()) == set(graph.materializable_asset_keys), "an upstream nobody makes"


def test_every_asset_says_what_it_is_and_whose() -> None:
    from pipelines.definitions import defs

    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.owners, key
        assert node.kinds, key
