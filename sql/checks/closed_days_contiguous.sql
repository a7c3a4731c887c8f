-- description: A calendar's closed days follow one another without a gap, and so do their cut-offs
-- weight: BLOCK
-- table: closed_days
-- looked_at: SELECT count(*) FROM main.closed_days
SELECT calendar, day, as_of, lag(day) OVER days AS day_before, lag(as_of) OVER days AS as_of_before
FROM main.closed_days
WINDOW days AS (PARTITION BY calendar ORDER BY day)
QUALIFY day - day_before <> 1 OR as_of <= as_of_before
