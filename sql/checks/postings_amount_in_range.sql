-- description: Amounts and balances of a posting are below 10^18; larger ones belong in suspense
-- weight: BLOCK
-- table: postings
-- looked_at: SELECT count(*) FROM postings
SELECT account_id, occurred_at, position, event_id, amount, balance_after, pending_after
FROM postings
WHERE greatest(abs(amount), abs(balance_after), abs(coalesce(pending_after, 0))) >= 1000000000000000000
