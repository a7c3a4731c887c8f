-- description: Every account belongs to a known portfolio
-- weight: BLOCK
-- table: accounts
-- looked_at: SELECT count(*) FROM accounts
SELECT account_id, portfolio, native_code
FROM accounts ANTI JOIN portfolios USING (portfolio)
