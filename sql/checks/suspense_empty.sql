-- description: No row was refused
-- weight: QUALIFY
-- table: suspense
-- looked_at: SELECT count(*) FROM suspense
SELECT venue, portfolio, native_code, reason, "row", page_sha256, position
FROM suspense
