"""python verify.py BUNDLE recomputes a statement from its evidence, offline, and says what differs first. It needs Python only."""

import collections.abc, csv, hashlib, io, json, sys, zipfile  # noqa: E401, I001  # short: who trusts nobody can read it all
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal as D, localcontext  # noqa: N817
from pathlib import Path
from typing import Any, TypeAlias

NAN, LAST, HOUR, when = D("NaN"), D("1e-18"), timedelta(hours=1), datetime.fromisoformat
NEVER, FOREVER = "0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z"
Row: TypeAlias = dict[str, Any]
Found: TypeAlias = collections.abc.Iterator[str]


def first_difference(path: Path) -> str:
    """In words; empty where nothing differs. KeyError or BadZipFile: this is no bundle."""
    with localcontext(prec=90, rounding=ROUND_HALF_EVEN):
        return next(differences(path), "")


def differences(path: Path) -> Found:
    """Files that are not what the manifest says, the manifest first; then numbers that do not follow from the evidence."""
    if not path.is_dir():
        with zipfile.ZipFile(path) as archive:
            yield from filter(None, [archive.testzip()])
    files = files_of(path)
    told, around = files.pop("manifest.json"), files.pop("envelope.json", b"")
    for name, body in {"manifest.json": told, "envelope.json": around}.items():  # its own hash stands at 24:88, taken with zeros there
        if body and hashlib.sha256(body[:24] + b"0" * 64 + body[88:]).hexdigest().encode() != body[24:88]:
            yield name
    about, envelope = json.loads(told), json.loads(around or b"{}")  # its signature and its chain are checked by closebook verify
    if envelope.get("number") != about.get("number") or (around and envelope["manifest_sha256"] != hashlib.sha256(told).hexdigest()):
        yield "envelope.json"
    hashes, found = about["files"], {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}
    yield from sorted(name for name in found.keys() | hashes.keys() if found.get(name) != hashes.get(name))
    rows = {name: csv.DictReader(io.StringIO(body.decode(), newline="")) for name, body in files.items() if name.endswith(".csv")}
    tables = {Path(name).stem: [{k: v.removeprefix("'") for k, v in r.items()} for r in read] for name, read in rows.items()}
    yield from numbers(tables, json.loads(files["statement.json"]))
    yield from changes(tables["difference"], json.loads(files["difference.json"])) if "difference" in tables else ()
    yield from movements(tables, json.loads(files["roll_forward.json"])) if "roll_forward" in tables else ()


def files_of(path: Path) -> dict[str, bytes]:
    """The files of a bundle, packed or unpacked, by their names."""
    if path.is_dir():
        return {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()}
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def key(row: Row) -> tuple[str, str]:
    return row["portfolio"], row["native_code"]


def same(cell: str | None, number: D) -> bool:  # no number, or one beyond the range, is an empty cell
    return not cell if number.is_nan() or abs(number) >= 10**18 else D(cell or "NaN") == number


def numbers(tables: dict[str, list[Row]], said: Row) -> Found:
    """balance = opening + Σ amount, price = Σ close · volume ÷ Σ volume, value = balance · price, total = Σ value."""
    as_of, rows, openings = when(said["as_of"]), {key(r): r for r in tables["by_portfolio"]}, {key(o): o for o in tables["openings"]}
    held = {k: D(o["amount"] or "NaN") if o["kind"] != "UNKNOWN" else NAN for k, o in openings.items()}
    for p in tables["postings"]:
        if key(p) in held and when(openings[key(p)]["opened_at"]) <= when(p["occurred_at"]) < as_of:
            held[key(p)] += D(p["amount"])
    turnover, volume, sums = (collections.defaultdict[Any, D](D) for _ in range(3))
    for c in (c for c in tables["candles"] if as_of - 24 * HOUR <= when(c["start"]) <= as_of - HOUR):
        turnover[c["asset"]] += (D(c["close"]) * D(c["volume"])).quantize(LAST)
        volume[c["asset"]] += D(c["volume"])
    price: dict[Any, D] = {("VWAP_24H", a, "USD"): (turnover[a] / v).quantize(LAST) for a, v in volume.items() if v}
    price |= {("PAR", c, c): D(1) for c in ("USD", "EUR", "GBP")}
    in_force = [p for p in tables["policies"] if when(p["since"] or NEVER) <= as_of < when(p["until"] or FOREVER)]
    price |= {("FIXED_POLICY", p["asset"], p["currency"]): D(p["price"]) for p in in_force if p["price"]}
    price |= {("ALIAS_POLICY", p["asset"], c): x for p in in_force for (_, a, c), x in [*price.items()] if a == p["same_as"]}
    for k, r in rows.items():
        balance, each = held.get(k, NAN), price.get((r["price_basis"], r["asset"], r["currency"]), NAN)
        due = {"balance": balance, "price": each, "value": (balance * each).quantize(LAST)}
        yield from (f"by_portfolio.csv: {column} of {' '.join(k)}" for column, number in due.items() if not same(r[column], number))
        for scope in [(p, b) for p in (k[0], None) for b in (r["price_basis"], None)]:
            sums[r["entity"], r["currency"], *scope] += D(r["value"] or 0)
        for column in ("balance", "value"):
            sums[r["entity"], r["asset"] or f"{r['venue']}:{k[1]}", column] += D(r[column] or 0)
    for a in tables["by_asset"]:
        wrong = [c for c in ("balance", "value") if a[c] and D(a[c]) != sums[a["entity"], a["asset"], c]]
        yield from (f"by_asset.csv: {column} of {a['asset']}" for column in wrong)
    for t in said["totals"]:
        total = sums[t["entity"], t["currency"], t["portfolio"], t["price_basis"]]
        if not same(t["value"], total) or not same(t["printed"], total.quantize(D(1).scaleb(-t["minor_units"]))):
            yield f"statement.json: total {t['entity']} {t['portfolio'] or ''} {t['currency']}"
    yield from second_totals(tables, said, price, sums)
    yield from proved(tables, rows)
    if [{k: "" if v is None else str(v) for k, v in row.items()} for row in said["rows"]] != tables["by_" + said["by"]]:
        yield "statement.json: its rows are not those of the CSV"
    days = [d for d in tables["daily_values"] if any(d[c] != rows.get(key(d), d)[c] for c in ("balance", "price", "value"))]
    yield from (f"evidence/daily_values.csv: {' '.join(key(d))}" for d in days)


def second_totals(tables: dict[str, list[Row]], said: Row, price: dict[Any, D], sums: dict[Any, D]) -> Found:
    """What is in transit is an entry of its sender's; what is adjusted, the adjustments; both at the price of the asset."""
    sent = {(key(p), p["occurred_at"], -D(p["amount"])) for p in tables["postings"]}
    for r in said["in_transit"]:
        each = price.get((r["price_basis"], r["asset"], r["currency"]), NAN)
        sums[r["entity"], r["currency"], "way"] += D(r["value"] or 0)
        entry = ((r["sent_by"], r["sent_code"]), r["sent_at"], D(r["units"]))
        if entry not in sent or not same(r["value"], (D(r["units"]) * each).quantize(LAST)):
            yield f"statement.json: in transit {r['asset']} from {r['sent_by']}"
    for r in said["adjusted"]:
        made = [D(a["amount"]) for a in tables["adjustments"] if key(a) == key(r)]
        each = price.get((r["price_basis"], r["asset"], r["currency"]), NAN)
        sums[r["entity"], r["currency"], "adjusted"] += D(r["value"] or 0)
        if not same(r["units"], sum(made, D(0))) or not same(r["value"], (D(r["units"] or "NaN") * each).quantize(LAST)):
            yield f"statement.json: adjusted {' '.join(key(r))}"
    for t in said["second_totals"]:
        parts = [sums[t["entity"], t["currency"], *part] for part in ((None, None), ("way",), ("adjusted",))]
        due = dict(zip(("value", "in_transit", "adjusted", "second_total"), [*parts, sum(parts, D(0))], strict=True))
        yield from (f"statement.json: {c} of {t['entity']} {t['currency']}" for c, number in due.items() if not same(t[c], number))


def proved(tables: dict[str, list[Row]], rows: dict[Any, Row]) -> Found:
    """The completeness report counts the entries that are here, and says of each balance what its line does."""
    counts = collections.Counter(key(p) for p in tables["postings"])
    for r in tables["completeness"]:
        same_words = all(r[c] == rows[key(r)][c] for c in ("balance", "read_through", "balance_status", "movements_status"))
        if int(r["entries"]) != counts[key(r)] or not same_words:
            yield f"completeness.csv: {' '.join(key(r))}"


def changes(lines: list[Row], said: Row) -> Found:
    """The lines of a revision add up to the change of each total."""
    for t in said["totals"]:
        mine = [line for line in lines if (line["entity"], line["currency"]) == (t["entity"], t["currency"])]
        parts = [D(line[c] or 0) for line in mine for c in ("quantity_effect", "price_effect", "separate")]
        if not D(t["value_new"]) - D(t["value_old"]) == D(t["change"]) == sum(D(line["change"] or 0) for line in mine) == sum(parts):
            yield f"difference.json: change of {t['entity']} {t['currency']}"


def movements(tables: dict[str, list[Row]], said: Row) -> Found:
    """Columns are what their entries add up to, opening + columns = closing, both ends are the entries', and the bridge leads along."""
    first, last, moved = walked(tables, when(said["from"]), when(said["as_of"]))
    issued = {key(r): D(r["issued"]) for r in tables["issued_opening"]}
    book = {(r["entity"], *key(r)): r["balance"] for r in tables["by_portfolio"]}
    for r in tables["roll_forward"]:
        k, known = key(r), bool(r["book_closing"])
        opening, prior, gaps, closing = (D(r[c] or 0) for c in ("opening", "prior_period", "unexplained", "closing"))
        began, flows = first.get(k, D(0)), sum((D(r[c]) for c in said["columns"]), D(r["opened_in_period"] or 0))
        wrong = [c for c in (*said["columns"], "prior_period", "adjustments", "entries") if D(r[c] or 0) != moved[k, c]]
        if known and (opening + prior + gaps != began + moved[k, "gaps"] or opening != issued.get(k, D(0) if prior else began)):
            wrong.append("opening")
        if not same(r["closing"], last.get(k, D(0))) or (known and opening + prior + flows + gaps != closing):
            wrong.append("closing")
        if r["closing"] and D(r["closing_adjusted"]) != closing + D(r["adjustments"]):
            wrong.append("closing_adjusted")
        if D(book.get((r["entity"], *k), r["book_closing"]) or 0) != D(r["book_closing"] or 0):
            wrong.append("book_closing")
        yield from (f"roll_forward.csv: {c} of {' '.join(k)}" for c in wrong)
    if [{k: "" if v is None else str(v) for k, v in row.items()} for row in said["rows"]] != tables["roll_forward"]:
        yield "roll_forward.json: its rows are not those of the CSV"
    yield from bridged(said)


def walked(tables: dict[str, list[Row]], since: datetime, until: datetime) -> tuple[dict[Any, D], dict[Any, D], dict[Any, D]]:
    """What each account began and ended with at its venue, and what its entries, prior-period items and adjustments add up to."""
    kinds = {(e["venue"], e["event_type"]): (e["increases"], e["decreases"]) for e in tables["event_columns"]}
    venue, openings = {key(r): r["venue"] for r in tables["roll_forward"]}, {key(o): o for o in tables["openings"]}
    opened, moved = {k: when(o["opened_at"]) for k, o in openings.items()}, collections.defaultdict[Any, D](D)
    last = {k: D(o["amount"] or "NaN") if o["kind"] != "UNKNOWN" else NAN for k, o in openings.items()}
    first = {k: last[k] for k, at in opened.items() if at < since}
    for p in sorted(tables["postings"], key=lambda p: (when(p["occurred_at"]), int(p["position"]))):
        k, at, amount, after = key(p), when(p["occurred_at"]), D(p["amount"]), D(p["balance_after"])
        if k not in opened or not opened[k] <= at < until:
            continue
        gap, last[k] = after - last[k] - amount, after
        if at < since:
            first[k] = after
            continue
        moved[k, kinds[venue[k], p["event_type"]][amount < 0]] += amount
        moved[k, "gaps"] += 0 if gap.is_nan() else gap
        moved[k, "entries"] += 1
    for name in ("prior_period", "adjustments"):
        for row in tables[name]:
            moved[key(row), name] += D(row["amount"])
    return first, last, moved


def bridged(said: Row) -> Found:
    """opening units × old price + units × change of price + net movement × new price = closing units × new price."""
    sums = collections.defaultdict[Any, D](D)
    for b in (b for b in said["bridge"] if b["reason"] is None):
        units, old, net, new = (D(b[c] or "NaN") for c in ("opening_units", "opening_price", "movement_units", "closing_price"))
        old = old if units else new
        due = {"opening_value": units * old, "price_effect": units * (new - old), "movement_value": net * new}
        due["closing_value"] = (units + net) * new
        yield from (f"roll_forward.json: {c} of {' '.join(key(b))}" for c, number in due.items() if not same(b[c], number.quantize(LAST)))
        for c in (*due, "rounding"):
            sums[b["entity"], b["currency"], c] += D(b[c] or 0)
    for t in said["bridge_totals"]:
        if any(not same(t[c], sums[t["entity"], t["currency"], c]) for c in ("opening_value", "closing_value", "price_effect", "rounding")):
            yield f"roll_forward.json: total {t['entity']} {t['currency']}"


if __name__ == "__main__":
    sys.exit(first_difference(Path(sys.argv[1])) or 0)
