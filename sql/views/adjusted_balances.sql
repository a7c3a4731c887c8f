-- Each closed day's balance per venue, what people adjusted until then, and both together; no other view and no value knows adjustments.
WITH named AS (
    SELECT c.calendar, c.day, j.portfolio, j.native_code, sum(j.amount)::DECIMAL(38, 18) AS amount
    FROM adjustments AS j JOIN closed_days AS c ON j.occurred_at < c.as_of
    GROUP BY c.calendar, c.day, j.portfolio, j.native_code
)
SELECT
    k.calendar, k.day, k.as_of, k.entity, k.venue, k.portfolio, k.native_code, k.asset, k.balance,
    coalesce(n.amount, 0) AS adjustment, (k.balance + coalesce(n.amount, 0))::DECIMAL(38, 18) AS adjusted
FROM book AS k LEFT JOIN named AS n USING (calendar, day, portfolio, native_code)
