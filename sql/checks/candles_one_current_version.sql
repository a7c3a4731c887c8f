-- description: A candle has at most one version that is not retired
-- weight: BLOCK
-- table: candles
-- looked_at: SELECT count(*) FROM candles WHERE retired_at IS NULL
-- may_look_at_nothing: no asset that was held has a market
SELECT product_id, start, count(*) AS current_versions
FROM candles
WHERE retired_at IS NULL
GROUP BY product_id, start
HAVING count(*) > 1
