"""A dataset and a port → the closebook.toml that reads it: complete by itself, keys in clear, for loopback only."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from pipelines.errors import MachineError
from pipelines.sandbox.dataset import Dataset, Portfolio
from pipelines.sandbox.names import coinbase_key, cryptofuse_client, pacifica_account, pacifica_api_key


def text(dataset: Dataset, base_url: str) -> str:
    """[book], each [[portfolio]], [prices], and the dataset's own [[policy]] tables."""
    tables = [
        _table("[book]", {"start": dataset.start, "end": dataset.end}),
        *(_table("[[portfolio]]", _portfolio(portfolio, base_url)) for portfolio in dataset.portfolios.values()),
        _table("[prices]", {"base_url": base_url}),
        *(_table("[[policy]]", policy) for policy in dataset.policies),
    ]
    return f"# The sandbox of the dataset {json.dumps(dataset.name)}: its keys open nothing else.\n\n" + "\n\n".join(tables) + "\n"


def _portfolio(portfolio: Portfolio, base_url: str) -> dict[str, object]:
    common: dict[str, object] = {"name": portfolio.name, "entity": portfolio.entity, "venue": portfolio.venue, "base_url": base_url}
    if portfolio.venue == "coinbase":
        return common | coinbase_key(portfolio.name)._asdict()
    if portfolio.venue == "cryptofuse":
        return common | cryptofuse_client(portfolio.name)._asdict()
    return common | {"account": pacifica_account(portfolio.name), "api_key": pacifica_api_key(portfolio.name)}


def _table(head: str, entries: Mapping[str, object]) -> str:
    return "\n".join([head, *(f"{_key(key)} = {_value(value)}" for key, value in entries.items())])


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _value(key)


def _value(value: object) -> str:
    """TOML's strings are JSON's, but for DEL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_value(entry)}" for key, entry in value.items()) + " }"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def write(path: Path, content: str) -> None:
    """Whole or not at all, readable by its owner only."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as refused:
        raise MachineError(f"The configuration {path} cannot be written: {refused.strerror}.", "Name a folder you may write to.") from None
