-- What was proved of the newest day's balances and movements, and what is the matter where it was not?
SELECT
    b.calendar, b.day, b.portfolio, b.balance_status, b.movements_status, b.status_reasons, count(*) AS accounts,
    min(b.read_through) AS read_through, list(b.native_code ORDER BY b.native_code)::VARCHAR AS native_codes
FROM book AS b
WHERE (b.calendar, b.day) IN (SELECT (calendar, max(day)) FROM closed_days GROUP BY calendar)
GROUP BY b.calendar, b.day, b.portfolio, b.balance_status, b.movements_status, b.status_reasons
ORDER BY b.calendar, b.portfolio, b.balance_status, b.movements_status, b.status_reasons
