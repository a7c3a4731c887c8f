-- description: A day's rate is one on record, known at its cut-off, and not beyond its last day
-- weight: BLOCK
-- table: daily_rates
-- looked_at: SELECT count(*) FROM daily_rates
-- may_look_at_nothing: no reporting currency is configured
SELECT d.calendar, d.day, d.currency, d.as_of, d.rate, d.rate_date, d.reason, r.rate AS rate_on_record, r.known_from, r.last_day
FROM daily_rates AS d
LEFT JOIN rates AS r ON r.currency = d.currency AND r.rate_date = d.rate_date AND r.retired_at IS NULL
WHERE (d.rate IS NULL) = (d.reason IS NULL)
    OR (d.currency = d.reporting_currency AND d.rate IS DISTINCT FROM 1)
    OR (
        d.currency <> d.reporting_currency AND d.rate IS NOT NULL
        AND (d.rate = r.rate AND r.known_from <= d.as_of AND d.day <= r.last_day) IS NOT TRUE
    )
