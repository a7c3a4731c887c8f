-- description: Nothing stands open in the inbox of exceptions
-- weight: QUALIFY
-- table: completeness
-- looked_at: SELECT count(*) FROM issues
-- may_look_at_nothing: nothing has come up yet
SELECT issue, matter, portfolio, native_code, amount, says, age_days, owner, resolved_by
FROM issues
WHERE state = 'OPEN'
