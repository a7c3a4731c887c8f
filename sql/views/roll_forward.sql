-- From each day's opening balance to its closing one: what came in, what went out, and what no movement explains, which is always 0.
WITH in_force AS (
    SELECT account_id, amount, opened_at FROM openings
    QUALIFY row_number() OVER (PARTITION BY account_id ORDER BY recorded_at DESC) = 1
), entries AS ( -- those before the opening are part of it
    SELECT k.calendar, m.account_id, m.occurred_at, m.amount
    FROM postings AS m
    JOIN in_force AS o ON o.account_id = m.account_id AND o.opened_at <= m.occurred_at
    CROSS JOIN calendars AS k
    WHERE m.retired_at IS NULL
), flows AS ( -- each belongs to the first cut-off after it
    SELECT c.calendar, c.day, e.account_id, count(*) AS movements,
        sum(e.amount) FILTER (e.amount > 0) AS received, sum(e.amount) FILTER (e.amount < 0) AS paid
    FROM entries AS e ASOF JOIN closed_days AS c ON c.calendar = e.calendar AND e.occurred_at < c.as_of
    GROUP BY c.calendar, c.day, e.account_id
), days AS (
    SELECT b.calendar, b.day, b.as_of, b.account_id, b.balance AS closing,
        CASE WHEN row_number() OVER earlier = 1 THEN o.amount ELSE lag(b.balance) OVER earlier END AS opening
    FROM daily_balances AS b LEFT JOIN in_force AS o USING (account_id)
    WINDOW earlier AS (PARTITION BY b.calendar, b.account_id ORDER BY b.as_of)
)
SELECT
    d.calendar, d.day, d.as_of, p.entity, p.venue, a.portfolio, a.native_code, a.asset, d.opening,
    coalesce(f.received, 0) AS received, coalesce(f.paid, 0) AS paid, d.closing,
    d.closing - d.opening - coalesce(f.received, 0) - coalesce(f.paid, 0) AS unexplained, coalesce(f.movements, 0) AS movements
FROM days AS d
JOIN accounts AS a USING (account_id)
JOIN portfolios AS p USING (portfolio)
LEFT JOIN flows AS f USING (calendar, day, account_id)
