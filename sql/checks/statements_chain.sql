-- description: An issued statement follows one of its scope, and takes the place of one that was issued
-- weight: QUALIFY
-- table: statements
-- looked_at: SELECT count(*) FROM statements
-- may_look_at_nothing: nothing was issued yet
SELECT s.number, s.scope, s.previous, s.supersedes
FROM statements AS s
WHERE (
    s.previous IS NOT NULL
    AND NOT EXISTS (
        SELECT 1 FROM statements AS p WHERE p.envelope_sha256 = s.previous AND p.scope = s.scope AND p.scope_of = s.scope_of
    )
)
OR (s.supersedes IS NOT NULL AND NOT EXISTS (SELECT 1 FROM statements AS p WHERE p.number = s.supersedes))
