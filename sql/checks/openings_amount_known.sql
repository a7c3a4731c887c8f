-- description: An opening has no amount exactly where it is UNKNOWN, and is zero at INCEPTION
-- weight: BLOCK
-- table: openings
-- looked_at: SELECT count(*) FROM openings
-- may_look_at_nothing: no account has an opening yet
SELECT account_id, recorded_at, kind, amount
FROM openings
WHERE (amount IS NULL) <> (kind = 'UNKNOWN') OR (kind = 'INCEPTION' AND amount <> 0)
