-- description: Every posting is of a known account
-- weight: BLOCK
-- table: postings
-- looked_at: SELECT count(*) FROM postings
SELECT account_id, occurred_at, position, event_id, amount
FROM postings ANTI JOIN accounts USING (account_id)
