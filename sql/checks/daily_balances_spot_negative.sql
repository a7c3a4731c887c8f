-- description: A spot balance is not negative
-- weight: QUALIFY
-- table: daily_balances
-- looked_at: SELECT count(*) FROM daily_balances JOIN accounts USING (account_id) JOIN portfolios USING (portfolio) WHERE venue <> 'pacifica'
-- may_look_at_nothing: no spot account is in the book
SELECT b.calendar, b.day, p.venue, a.portfolio, a.native_code, b.account_id, b.balance
FROM daily_balances AS b JOIN accounts AS a USING (account_id) JOIN portfolios AS p USING (portfolio)
WHERE b.balance < 0 AND p.venue <> 'pacifica' -- a margin account may owe
