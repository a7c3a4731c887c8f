-- description: A null price has a reason, a price has none, and basis and currency come with the price
-- weight: BLOCK
-- table: daily_values
-- looked_at: SELECT count(*) FROM daily_values
SELECT calendar, day, account_id, price, price_basis, currency, reason
FROM daily_values
WHERE (price IS NULL) = (reason IS NULL)
    OR (price IS NULL) <> (price_basis IS NULL)
    OR (price IS NULL) <> (currency IS NULL)
