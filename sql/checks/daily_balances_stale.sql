-- description: Every balance is read through its cut-off
-- weight: QUALIFY
-- table: daily_balances
-- looked_at: SELECT count(*) FROM daily_balances
SELECT b.calendar, b.day, a.portfolio, a.native_code, b.account_id, b.as_of, b.read_through, b.status_reasons
FROM daily_balances AS b LEFT JOIN accounts AS a USING (account_id)
WHERE b.balance_status = 'STALE' OR b.movements_status = 'STALE'
