-- description: Fiat is itself: USD, EUR and GBP that are held as fiat, and nothing else, are priced 1 in their own currency
-- weight: BLOCK
-- table: daily_prices
-- looked_at: SELECT count(*) FROM daily_prices WHERE price_basis = 'PAR' OR asset IN ('USD', 'EUR', 'GBP')
-- may_look_at_nothing: no fiat is held
SELECT calendar, day, asset, price, price_basis, currency, reason
FROM daily_prices AS p
WHERE (price_basis = 'PAR' AND NOT (asset IN ('USD', 'EUR', 'GBP') AND currency = asset AND price = 1))
    OR (
        price_basis IS DISTINCT FROM 'PAR' AND reason IS DISTINCT FROM 'EXCLUDED_BY_POLICY' AND asset IN ('USD', 'EUR', 'GBP')
        AND EXISTS (FROM accounts AS a WHERE a.asset = p.asset AND a.asset_class = 'fiat') -- a coin may call itself USD
    )
