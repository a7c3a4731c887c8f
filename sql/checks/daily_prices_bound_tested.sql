-- description: Every fixed price that has a bound was held against a market price
-- weight: QUALIFY
-- table: daily_prices
-- looked_at: SELECT count(*) FROM daily_prices WHERE bound_status IS NOT NULL
-- may_look_at_nothing: no policy has a bound
SELECT calendar, day, asset, price, currency, bound_status
FROM daily_prices
WHERE bound_status = 'BOUND_NOT_TESTED'
