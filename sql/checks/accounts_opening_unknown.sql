-- description: Every account has an opening balance
-- weight: QUALIFY
-- table: accounts
-- looked_at: SELECT count(*) FROM accounts
WITH opening AS (
    SELECT account_id, kind, amount FROM openings
    QUALIFY row_number() OVER (PARTITION BY account_id ORDER BY recorded_at DESC) = 1
)
SELECT a.portfolio, a.native_code, a.account_id, coalesce(o.kind, 'UNKNOWN') AS opening
FROM accounts AS a LEFT JOIN opening AS o USING (account_id)
WHERE o.amount IS NULL
