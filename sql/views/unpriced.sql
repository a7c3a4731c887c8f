-- What is held without a price, on each day, and why there is none.
SELECT calendar, day, as_of, entity, venue, portfolio, native_code, asset, network, balance, reason
FROM book
WHERE balance <> 0 AND price IS NULL
