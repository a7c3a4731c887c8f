-- description: No balance counts a posting at or after its cut-off, or claims to be read beyond it
-- weight: BLOCK
-- table: daily_balances
-- looked_at: SELECT count(*) FROM daily_balances
SELECT calendar, day, account_id, as_of, last_event_at, read_through
FROM daily_balances
WHERE last_event_at >= as_of OR read_through > as_of
