"""`closebook demo`: a sandbox, a month of six portfolios, two runs; the second meets a late event. No venue is asked."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.config import load
from pipelines.home import Home
from pipelines.running import Outcome, run
from pipelines.sandbox.generate import generate
from pipelines.sandbox.serve import Sandbox


@dataclass(frozen=True)
class Demo:
    """The demo's home: its dataset and configuration lie inside it."""

    home: Home

    @property
    def dataset(self) -> Path:
        return self.home.root / "dataset"

    @property
    def config(self) -> Path:
        return self.home.root / "closebook.toml"

    def prepare(self, days: int) -> None:
        """Make the dataset, once; another length makes another demo."""
        self.home.move_in("demo")
        mark = self.dataset / "days"
        if mark.exists() and mark.read_text() == str(days):
            return
        for path in self.home.root.iterdir():
            if path.name != "home.toml":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.home.move_in("demo")
        generate(self.dataset, days)
        mark.write_text(str(days))

    def sandbox(self, port: int = 0) -> Sandbox:
        return Sandbox(self.dataset, port)


def show(home: Home, days: int) -> Outcome:
    """Close all days but the last, then the last, on which a late event shows up."""
    demo = Demo(home)
    demo.prepare(days)
    with demo.sandbox() as sandbox:
        sandbox.write_config(demo.config)
        end = load(demo.config).book.end
        assert end is not None, "a dataset's configuration has an end"
        last = datetime.combine(end, datetime.min.time(), UTC)
        if not home.publication.exists():
            sandbox.now = last - timedelta(days=1)
            first = run(demo.config, home)
            if first.exit_code:
                return first
        sandbox.now = last
        return run(demo.config, home)
