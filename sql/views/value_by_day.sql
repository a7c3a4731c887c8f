-- Value by day, entity and portfolio; currencies and price bases are never added up, unpriced rows stand on a line of their own.
SELECT
    calendar, day, entity, portfolio, currency, price_basis, sum(value) AS value,
    count(value) AS priced_rows, count(*) - count(value) AS unpriced_rows
FROM book
WHERE value IS NOT NULL OR balance IS DISTINCT FROM 0
GROUP BY calendar, day, entity, portfolio, currency, price_basis
