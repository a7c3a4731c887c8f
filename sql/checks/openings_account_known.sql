-- description: Every opening is of a known account
-- weight: BLOCK
-- table: openings
-- looked_at: SELECT count(*) FROM openings
-- may_look_at_nothing: no account has an opening yet
SELECT account_id, kind, amount, opened_at
FROM openings ANTI JOIN accounts USING (account_id)
