-- description: A portfolio has one account per native code
-- weight: BLOCK
-- table: accounts
-- looked_at: SELECT count(*) FROM accounts
SELECT portfolio, native_code, list(account_id ORDER BY account_id)::VARCHAR AS account_ids
FROM accounts
GROUP BY portfolio, native_code
HAVING count(*) > 1
