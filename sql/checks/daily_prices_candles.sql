-- description: Candle count, first and last hour and volume of a market price are those of the candles themselves
-- weight: BLOCK
-- table: daily_prices
-- looked_at: SELECT count(*) FROM daily_prices WHERE price_basis = 'VWAP_24H'
-- may_look_at_nothing: no asset that was held has a market price
WITH priced AS (
    SELECT * FROM daily_prices WHERE price_basis = 'VWAP_24H'
), hours AS ( -- every hour a window touches, so that candles join by equality
    SELECT calendar, day, asset, currency, as_of,
        unnest(range(date_trunc('hour', as_of - INTERVAL 24 HOURS), as_of, INTERVAL 1 HOUR)) AS start
    FROM priced
), found AS (
    SELECT h.calendar, h.day, h.asset, count(*) AS candles, min(c.start) AS first_start,
        max(c.start) + INTERVAL 1 HOUR AS last_end, sum(c.volume) AS volume
    FROM hours AS h
    JOIN (SELECT DISTINCT product_id, base, quote FROM products) AS m ON m.base = h.asset AND m.quote = h.currency
    JOIN candles AS c ON c.product_id = m.product_id AND c.start = h.start
        AND c.retired_at IS NULL AND abs(c.volume) < 1000000000000000000 -- an absurd volume is missed, not an overflow
    WHERE h.start >= h.as_of - INTERVAL 24 HOURS AND h.start + INTERVAL 1 HOUR <= h.as_of
    GROUP BY h.calendar, h.day, h.asset
)
SELECT p.calendar, p.day, p.asset, p.as_of, p.candle_count, f.candles AS candles_found, p.first_start, f.first_start AS first_found,
    p.last_end, f.last_end AS last_found, p.volume, f.volume AS volume_found
FROM priced AS p LEFT JOIN found AS f USING (calendar, day, asset)
WHERE p.candle_count IS DISTINCT FROM f.candles
    OR p.first_start IS DISTINCT FROM f.first_start
    OR p.last_end IS DISTINCT FROM f.last_end
    OR p.volume IS DISTINCT FROM f.volume
