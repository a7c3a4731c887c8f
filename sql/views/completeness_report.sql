-- What is behind each account's newest balance: opening, entries, pages, chain, watermark, the venue's own figure, and what they prove.
WITH entries AS (
    SELECT account_id, count(*) AS entries, count(DISTINCT page_sha256) AS pages, min(occurred_at) AS first_event_at,
        max(occurred_at) AS last_event_at
    FROM postings WHERE retired_at IS NULL GROUP BY account_id
), opened AS (
    SELECT account_id, arg_max(kind, recorded_at) AS opening, arg_max(document, recorded_at) AS document FROM openings GROUP BY account_id
), broken AS (
    SELECT account_id, count(*) FILTER (kind <> 'ORDER') AS breaks, count(*) FILTER (kind = 'ORDER') AS open_orders
    FROM chain_breaks WHERE retired_at IS NULL GROUP BY account_id
), tied AS (
    SELECT portfolio, native_code, arg_max(theirs, recorded_at) AS theirs, arg_max(ours, recorded_at) AS ours,
        arg_max(outcome, recorded_at) AS outcome
    FROM tie_outs WHERE kind = 'BALANCE' GROUP BY portfolio, native_code
)
SELECT
    b.calendar, b.day, b.entity, b.venue, b.portfolio, b.native_code, coalesce(o.opening, 'UNKNOWN') AS opening, o.document,
    coalesce(e.entries, 0) AS entries, coalesce(e.pages, 0) AS pages, e.first_event_at, e.last_event_at,
    coalesce(k.breaks, 0) AS breaks, coalesce(k.open_orders, 0) AS open_orders, b.read_through,
    t.theirs AS live_balance, t.ours AS computed_balance, coalesce(t.outcome, 'NO_TIE_OUT') AS tie_out,
    b.balance_status, b.movements_status, b.status_reasons
FROM book AS b
JOIN accounts AS a ON a.portfolio = b.portfolio AND a.native_code = b.native_code
LEFT JOIN entries AS e USING (account_id)
LEFT JOIN opened AS o USING (account_id)
LEFT JOIN broken AS k USING (account_id)
LEFT JOIN tied AS t ON t.portfolio = b.portfolio AND t.native_code = b.native_code
WHERE (b.calendar, b.day) IN (SELECT (calendar, max(day)) FROM closed_days GROUP BY calendar)
