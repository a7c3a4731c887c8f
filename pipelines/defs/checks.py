"""The rules of `quality` as blocking checks on the candidate: what each looked at, how much, and the violating rows."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from pipelines import publications, quality
from pipelines.defs.resources import OpenBook
from pipelines.exports.text import plain
from pipelines.tables import CHECK_RESULTS
from pipelines.warehouse import now

SPECS = [
    dg.AssetCheckSpec(rule.name, asset="candidate", blocking=rule.weight == "BLOCK", description=f"{rule.weight}: {rule.description}")
    for rule in quality.rules()
]


@dg.multi_asset_check(specs=SPECS, name="checks")
def candidate_checks(book: dg.ResourceParam[OpenBook]) -> Iterator[dg.AssetCheckResult]:
    built = publications.built(book.home)
    with publications.Publication(built.path) as candidate:
        through, since = candidate.facts()["known_through"], quality.proven(candidate.read(CHECK_RESULTS), now())
    findings = quality.check(built.path, built.publication_id, since=since)
    with book.warehouse.commit("check results") as commit:
        rows = [
            {"publication_id": built.publication_id, "rule": f.rule.name, "weight": f.rule.weight, "looked_at": f.looked_at}
            | {"violations": f.violations, "passed": f.passed, "message": f.message, "recorded_at": commit.recorded_at}
            | {"since": f.rule.since, "through": through}
            for f in findings
        ]
        commit.delete(CHECK_RESULTS, f"publication_id = {built.publication_id}")  # a candidate may be checked again
        commit.insert(CHECK_RESULTS, CHECK_RESULTS.frame(rows), counts=False)
    yield from map(_result, findings)


def _result(finding: quality.Finding) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.ERROR if finding.rule.weight == "BLOCK" else dg.AssetCheckSeverity.WARN
    metadata: dict[str, Any] = {"looked_at": finding.looked_at, "violations": finding.violations, "weight": finding.rule.weight}
    metadata["written since"] = finding.rule.since.isoformat() if finding.rule.since else "the beginning"
    shown = {"rows": dg.MetadataValue.md(quality.markdown(plain(finding.rows)))} if finding.rows.height else {}
    said = {"message": finding.message} if finding.message else {}
    return dg.AssetCheckResult(
        passed=finding.passed, asset_key="candidate", check_name=finding.rule.name, severity=severity, metadata=metadata | shown | said
    )
