-- description: No method lies further from the volume-weighted price than the configuration tolerates
-- weight: QUALIFY
-- table: daily_prices
-- looked_at: SELECT count(*) FROM daily_prices WHERE method <> 'VWAP_24H' AND spread_bps IS NOT NULL
-- may_look_at_nothing: no asset that was held has a price by two methods
SELECT p.calendar, p.day, p.asset, p.method, p.price, d.price AS price_vwap_24h, p.spread_bps, t.most AS tolerated_bps
FROM daily_prices AS p
JOIN tolerances AS t ON t.name = 'method_spread_bps'
LEFT JOIN daily_prices AS d ON (d.calendar, d.day, d.asset, d.method) = (p.calendar, p.day, p.asset, 'VWAP_24H')
WHERE p.method <> 'VWAP_24H' AND abs(p.spread_bps) > t.most
