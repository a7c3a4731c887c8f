-- description: Every closed day is of a known calendar
-- weight: BLOCK
-- table: closed_days
-- looked_at: SELECT count(*) FROM closed_days
SELECT calendar, day, as_of
FROM closed_days ANTI JOIN calendars USING (calendar)
