-- description: Every account has exactly its rows: one per closed day whose cut-off comes after its opening
-- weight: BLOCK
-- table: daily_values
-- looked_at: SELECT count(*) FROM closed_days CROSS JOIN accounts
WITH opening AS ( -- an account without an opening is in the book from the first day
    SELECT account_id, opened_at FROM openings
    QUALIFY row_number() OVER (PARTITION BY account_id ORDER BY recorded_at DESC) = 1
), expected AS (
    SELECT c.calendar, c.day, a.account_id, c.as_of
    FROM closed_days AS c CROSS JOIN accounts AS a LEFT JOIN opening AS o USING (account_id)
    WHERE o.opened_at IS NULL OR o.opened_at < c.as_of
), written AS (
    SELECT calendar, day, account_id, as_of, count(*) AS rows_written
    FROM daily_values
    GROUP BY calendar, day, account_id, as_of
)
SELECT calendar, day, account_id, as_of, e.account_id IS NOT NULL AS row_expected, coalesce(w.rows_written, 0) AS rows_written
FROM expected AS e FULL JOIN written AS w USING (calendar, day, account_id, as_of)
WHERE e.account_id IS NULL OR w.rows_written IS DISTINCT FROM 1
