-- description: Every native code is mapped to an asset
-- weight: QUALIFY
-- table: accounts
-- looked_at: SELECT count(*) FROM accounts
SELECT p.venue, a.portfolio, a.native_code, a.account_id
FROM accounts AS a LEFT JOIN portfolios AS p USING (portfolio)
WHERE a.asset IS NULL
