-- description: Fiat is itself: USD, EUR and GBP, and nothing else, are priced 1 in their own currency
-- weight: BLOCK
-- table: daily_prices
-- looked_at: SELECT count(*) FROM daily_prices WHERE price_basis = 'PAR' OR asset IN ('USD', 'EUR', 'GBP')
-- may_look_at_nothing: no fiat is held
SELECT calendar, day, asset, price, price_basis, currency
FROM daily_prices
WHERE (price_basis = 'PAR' AND NOT (asset IN ('USD', 'EUR', 'GBP') AND currency = asset AND price = 1))
    OR (price_basis <> 'PAR' AND asset IN ('USD', 'EUR', 'GBP'))
