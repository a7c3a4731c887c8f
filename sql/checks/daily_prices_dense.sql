-- description: Every asset has exactly one price row per closed day
-- weight: BLOCK
-- table: daily_prices
-- looked_at: SELECT count(*) FROM closed_days CROSS JOIN (SELECT DISTINCT asset FROM accounts WHERE asset IS NOT NULL)
-- may_look_at_nothing: no account is mapped to an asset
WITH expected AS (
    SELECT c.calendar, c.day, a.asset, c.as_of
    FROM closed_days AS c CROSS JOIN (SELECT DISTINCT asset FROM accounts WHERE asset IS NOT NULL) AS a
), written AS (
    SELECT calendar, day, asset, as_of, count(*) AS rows_written
    FROM daily_prices
    WHERE method = 'VWAP_24H' -- the one that values rest on; the others stand beside it where there is a market
    GROUP BY calendar, day, asset, as_of
)
SELECT calendar, day, asset, as_of, e.asset IS NOT NULL AS row_expected, coalesce(w.rows_written, 0) AS rows_written
FROM expected AS e FULL JOIN written AS w USING (calendar, day, asset, as_of)
WHERE e.asset IS NULL OR w.rows_written IS DISTINCT FROM 1
