"""What is generated from the code is that of the code, and every entry says what it means."""

from __future__ import annotations

import pytest

from docs import generate
from docs.generate import DOCS, WRITTEN, models
from pipelines.config import Config, load


@pytest.mark.parametrize("name", WRITTEN)
def test_the_reference_is_up_to_date(name):
    assert (DOCS / name).read_text(encoding="utf-8") == WRITTEN[name](), "run `make docs`"


def test_every_entry_of_the_configuration_says_what_it_means():
    for name, field in Config.model_fields.items():
        for model in models(field.annotation):
            silent = [key for key, part in model.model_fields.items() if not part.description and not list(models(part.annotation))]
            assert not silent, f"[{name}] {silent}"


def test_the_example_is_a_configuration(tmp_path):
    _, _, after = (DOCS / "configuration.head.md").read_text().partition("```toml\n")
    (tmp_path / "closebook.toml").write_text(after.partition("```")[0])
    config = load(tmp_path / "closebook.toml")
    assert {p.name for p in config.portfolio} == {"treasury"}
    assert [c.name for c in config.calendars()] == ["utc", "tokyo"]


def test_a_contract_shows_type_null_and_allowed_values():
    shown = generate.contracts()
    assert "| `pending_amount` | DECIMAL(38,18) | yes | signed change of the pending balance, where the venue reports one |" in shown
    assert "`PAR`, `VWAP_24H`, `LAST_CLOSE`" in shown
