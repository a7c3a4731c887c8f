-- Every value of the book in the reporting currency too: value × rate, half-even to the eighteenth place, exactly. The column value stays
-- in its own currency; rate_date says of which date the rate is, and reporting_reason why there is none.
WITH limbs AS ( -- |value| and rate as hi + lo / 10^18; DuckDB's own product of two DECIMAL(38,18) overflows
    SELECT v.calendar, v.day, v.as_of, v.account_id, a.portfolio, a.native_code, v.value, v.currency, v.reason,
        (SELECT max(reporting_currency) FROM daily_rates) AS reporting_currency, r.rate AS reporting_rate,
        r.rate_date, r.source AS reporting_source, r.reason AS no_rate,
        trunc(abs(v.value))::HUGEINT AS vh, ((abs(v.value) - trunc(abs(v.value)))::DECIMAL(19,18) * 1000000000000000000::DECIMAL(19,0))::HUGEINT AS vl,
        trunc(r.rate)::HUGEINT AS rh, ((r.rate - trunc(r.rate))::DECIMAL(19,18) * 1000000000000000000::DECIMAL(19,0))::HUGEINT AS rl
    FROM daily_values AS v
    JOIN accounts AS a USING (account_id)
    LEFT JOIN daily_rates AS r USING (calendar, day, currency)
), products AS ( -- in units of 10^-18, and what is left over, in units of 10^-36
    SELECT *, TRY(vh * rh * 1000000000000000000 + vh * rl + vl * rh + (vl * rl) // 1000000000000000000) AS units,
        (vl * rl) % 1000000000000000000 AS rest
    FROM limbs
), rounded AS ( -- a tie goes to the even digit
    SELECT *, units + CASE WHEN rest > 500000000000000000 OR (rest = 500000000000000000 AND units % 2 = 1) THEN 1 ELSE 0 END AS whole
    FROM products
), told AS (
    SELECT *, CASE WHEN whole < 1000000000000000000000000000000000000 THEN
            ((whole // 1000000000000000000)::DECIMAL(38,18) + (whole % 1000000000000000000)::DECIMAL(19,0) * 0.000000000000000001::DECIMAL(18,18))
            * CASE WHEN value < 0 THEN -1 ELSE 1 END
        END::DECIMAL(38,18) AS reporting_value
    FROM rounded
)
SELECT calendar, day, as_of, account_id, portfolio, native_code, value, currency, reporting_currency, reporting_value, reporting_rate,
    rate_date, reporting_source,
    CASE WHEN reporting_value IS NULL
        THEN coalesce(reason, CASE WHEN value IS NOT NULL THEN no_rate END, CASE WHEN value IS NULL THEN 'NO_VALUE' ELSE 'OUT_OF_RANGE' END)
    END AS reporting_reason
FROM told
WHERE reporting_currency IS NOT NULL
