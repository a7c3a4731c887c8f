-- description: Everything held has a price
-- weight: QUALIFY
-- table: daily_values
-- looked_at: SELECT count(*) FROM daily_values WHERE balance <> 0
-- may_look_at_nothing: nothing is held
SELECT v.calendar, v.day, a.portfolio, a.native_code, a.asset, v.account_id, v.balance, v.reason
FROM daily_values AS v LEFT JOIN accounts AS a USING (account_id)
WHERE v.balance <> 0 AND v.price IS NULL
