-- description: Closing = opening + flows, exactly: the day before, or the opening in force, plus the postings since
-- weight: BLOCK
-- table: daily_balances
-- looked_at: SELECT count(*) FROM daily_balances
WITH opening AS (
    SELECT account_id, amount, opened_at FROM openings
    QUALIFY row_number() OVER (PARTITION BY account_id ORDER BY recorded_at DESC) = 1
), asked AS ( -- with the day before each: it is where the day opens
    SELECT a.calendar, a.day, d.day_before, coalesce(d.as_of_before, '-infinity') AS since
    FROM closed_days AS a
    JOIN (
        SELECT calendar, day, lag(day) OVER days AS day_before, lag(as_of) OVER days AS as_of_before
        FROM main.closed_days
        WINDOW days AS (PARTITION BY calendar ORDER BY as_of)
    ) AS d USING (calendar, day)
), facts AS (
    SELECT k.calendar, p.account_id, p.occurred_at, p.amount
    FROM main.postings AS p
    JOIN opening AS o ON o.account_id = p.account_id AND o.opened_at <= p.occurred_at
    CROSS JOIN (SELECT DISTINCT calendar FROM asked) AS k
    WHERE p.retired_at IS NULL AND p.occurred_at >= (SELECT min(since) FROM asked)
        AND abs(p.amount) < 1000000000000000000 -- a larger one breaks its own rule, not this sum
), flows AS ( -- each posting belongs to the first cut-off after it
    SELECT f.calendar, c.as_of, f.account_id, count(*) AS postings, sum(f.amount) AS amount
    FROM facts AS f ASOF JOIN main.closed_days AS c ON c.calendar = f.calendar AND f.occurred_at < c.as_of
    GROUP BY f.calendar, c.as_of, f.account_id
), book AS (
    SELECT b.calendar, b.day, b.account_id, b.as_of, b.balance, b.status_reasons, o.amount AS opening,
        CASE WHEN row_number() OVER days = 1 THEN o.amount ELSE lag(b.balance) OVER days END AS before
    FROM main.daily_balances AS b
    SEMI JOIN (SELECT calendar, day FROM asked UNION SELECT calendar, day_before FROM asked) USING (calendar, day)
    LEFT JOIN opening AS o USING (account_id)
    WINDOW days AS (PARTITION BY b.calendar, b.account_id ORDER BY b.as_of)
)
SELECT b.calendar, b.day, b.account_id, b.as_of, b.before, coalesce(f.postings, 0) AS postings, coalesce(f.amount, 0) AS flows, b.balance
FROM book AS b SEMI JOIN asked USING (calendar, day) LEFT JOIN flows AS f USING (calendar, as_of, account_id)
WHERE NOT (b.balance IS NULL AND contains(coalesce(b.status_reasons, ''), 'OUT_OF_RANGE')) -- said on the row, and never counted on
    AND (
        (b.opening IS NULL) <> (b.balance IS NULL) -- only an unknown opening leaves the balance unknown
        OR (b.before IS NOT NULL AND TRY(b.before + coalesce(f.amount, 0)) IS DISTINCT FROM b.balance) -- out of range is not equal
    )
