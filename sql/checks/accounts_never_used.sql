-- description: Every account was used: it has a posting or holds something
-- weight: INFO
-- table: accounts
-- looked_at: SELECT count(*) FROM accounts
SELECT a.portfolio, a.native_code, a.account_id
FROM accounts AS a
ANTI JOIN postings USING (account_id)
ANTI JOIN (SELECT account_id FROM daily_balances WHERE balance IS DISTINCT FROM 0) USING (account_id)
