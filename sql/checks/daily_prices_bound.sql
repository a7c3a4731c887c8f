-- description: The market lies within the bound of every fixed price that has one
-- weight: QUALIFY
-- table: daily_prices
-- looked_at: SELECT count(*) FROM daily_prices WHERE bound_status IS NOT NULL
-- may_look_at_nothing: no policy has a bound
SELECT calendar, day, asset, price, currency, spread_bps, bound_status
FROM daily_prices
WHERE bound_status = 'BREACHED'
