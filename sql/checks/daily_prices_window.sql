-- description: A market price rests on 1 to 24 candles, none of them outside the 24 hours before its cut-off
-- weight: BLOCK
-- table: daily_prices
-- looked_at: SELECT count(*) FROM daily_prices WHERE price_basis = method
-- may_look_at_nothing: no asset that was held has a market price
SELECT calendar, day, asset, as_of, candle_count, first_start, last_end, volume
FROM daily_prices
WHERE price_basis = method
    AND (candle_count BETWEEN 1 AND 24 AND first_start >= as_of - INTERVAL 24 HOURS AND last_end <= as_of AND (volume > 0 OR method <> 'VWAP_24H')) IS NOT TRUE
