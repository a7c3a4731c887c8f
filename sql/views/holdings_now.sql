-- What is held at the newest closed day of each calendar; a balance that is not known is listed too.
SELECT *
FROM book
WHERE (calendar, day) IN (SELECT (calendar, max(day)) FROM closed_days GROUP BY calendar)
    AND balance IS DISTINCT FROM 0
