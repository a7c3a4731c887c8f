-- Issued statements that no later version has taken the place of, newest first; the register with all of them is `statements`.
SELECT scope_of, scope, as_of, number, state, since, issued_by, issued_at, reason, publication_id, known_at, manifest_sha256, bundle_sha256
FROM statements
WHERE state <> 'superseded'
ORDER BY as_of DESC, scope, number
