-- Rows of the book to read with care, and why.
WITH marked AS (
    SELECT
        k.calendar, k.day, k.as_of, k.entity, k.venue, k.portfolio, k.native_code, k.asset, k.balance, b.reported_balance,
        k.value, k.read_through, k.balance_status, k.movements_status,
        concat_ws(
            ';',
            CASE WHEN k.balance IS NULL THEN 'the opening is unknown' END,
            CASE WHEN k.balance_status IN ('STALE', 'EXCEPTION') OR k.movements_status IN ('STALE', 'EXCEPTION')
                THEN coalesce(nullif(k.status_reasons, ''), 'not read through the cut-off, or not proved') END,
            CASE WHEN k.balance < 0 AND k.venue <> 'pacifica' THEN 'a spot balance is negative' END,
            CASE WHEN k.balance <> b.reported_balance THEN 'the venue reported another balance' END,
            CASE WHEN k.balance <> 0 AND k.price IS NULL THEN 'no price: ' || k.reason END
        ) AS reasons
    FROM book AS k
    JOIN accounts AS a USING (portfolio, native_code)
    JOIN daily_balances AS b USING (calendar, day, account_id)
)
SELECT *
FROM marked
WHERE reasons <> ''
