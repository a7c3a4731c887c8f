-- What do we hold now, and what is it worth?
SELECT day, entity, portfolio, asset, native_code, balance, price, currency, value, reason
FROM holdings_now
ORDER BY entity, portfolio, value DESC NULLS LAST, native_code
