-- How did the value of each portfolio move from day to day, and how much of it has no price?
SELECT calendar, day, entity, portfolio, currency, sum(value) AS value, sum(priced_rows) AS priced_rows, sum(unpriced_rows) AS unpriced_rows
FROM value_by_day
GROUP BY calendar, day, entity, portfolio, currency
ORDER BY calendar, day, entity, portfolio, currency
