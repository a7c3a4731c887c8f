-- description: The file is the candidate that was asked for, and no other
-- weight: BLOCK
-- table: publications
-- looked_at: SELECT count(*) FROM publications
SELECT publication_id, :publication_id AS asked_for
FROM publications
WHERE publication_id <> :publication_id OR (SELECT count(*) FROM publications) <> 1
