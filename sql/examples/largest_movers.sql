-- Which holdings changed most in value between the first and the last closed day? Only what has a value on both.
WITH ends AS (
    SELECT calendar, min(day) AS first_day, max(day) AS last_day FROM closed_days GROUP BY calendar
)
SELECT
    e.calendar, e.first_day, e.last_day, now.portfolio, now.native_code, now.currency,
    now.balance - past.balance AS units, now.value - past.value AS change, past.value AS value_then, now.value AS value_now
FROM ends AS e
JOIN book AS past ON past.calendar = e.calendar AND past.day = e.first_day
JOIN book AS now ON now.calendar = e.calendar AND now.day = e.last_day
    AND now.portfolio = past.portfolio AND now.native_code = past.native_code AND now.currency = past.currency
WHERE now.value <> past.value
ORDER BY abs(now.value - past.value) DESC, e.calendar, now.portfolio, now.native_code
LIMIT 20
