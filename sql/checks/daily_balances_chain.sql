-- description: The balance is the last one the venue reported
-- weight: QUALIFY
-- table: daily_balances
-- looked_at: SELECT count(*) FROM daily_balances WHERE balance IS NOT NULL AND reported_balance IS NOT NULL
-- may_look_at_nothing: no venue has reported a balance beside its postings
SELECT b.calendar, b.day, a.portfolio, a.native_code, b.account_id, b.balance, b.reported_balance, b.last_event_at
FROM daily_balances AS b LEFT JOIN accounts AS a USING (account_id)
WHERE b.balance <> b.reported_balance
