-- description: A null price has a reason, a price has none, and basis and currency come with the price
-- weight: BLOCK
-- table: daily_prices
-- looked_at: SELECT count(*) FROM daily_prices
-- may_look_at_nothing: no account is mapped to an asset
SELECT calendar, day, asset, price, price_basis, currency, reason
FROM daily_prices
WHERE (price IS NULL) = (reason IS NULL)
    OR (price IS NULL) <> (price_basis IS NULL)
    OR (price IS NULL) <> (currency IS NULL)
