-- Market prices by every method side by side, and how far each lies from the volume-weighted one in 1/10000 of it.
SELECT
    d.calendar, d.day, d.as_of, d.asset, d.price, d.price_basis, d.currency, d.reason, d.bound_status,
    m.method, m.price AS price_by_method, m.spread_bps, m.reason AS reason_by_method
FROM daily_prices AS d
JOIN daily_prices AS m ON (m.calendar, m.day, m.asset) = (d.calendar, d.day, d.asset) AND m.method <> d.method
WHERE d.method = 'VWAP_24H'
