-- description: The venue's own figures are ours
-- weight: QUALIFY
-- table: tie_outs
-- looked_at: SELECT count(*) FROM tie_outs
SELECT portfolio, native_code, kind, theirs, ours, asked_at
FROM (SELECT * FROM tie_outs QUALIFY row_number() OVER (PARTITION BY portfolio, native_code, kind ORDER BY recorded_at DESC) = 1)
WHERE outcome = 'DIFFERS'
