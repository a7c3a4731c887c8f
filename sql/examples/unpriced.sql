-- What do we hold now that has no price, why, and since when?
WITH priceless AS (
    SELECT *, day - dense_rank() OVER (PARTITION BY calendar, portfolio, native_code ORDER BY day)::INTEGER AS stretch FROM unpriced
), newest AS (
    SELECT calendar, max(day) AS day FROM closed_days GROUP BY calendar
)
SELECT
    u.calendar, u.entity, u.portfolio, u.native_code, u.asset, arg_max(u.balance, u.day) AS balance,
    arg_max(u.reason, u.day) AS reason, min(u.day) AS since, count(*) AS days
FROM priceless AS u
GROUP BY u.calendar, u.entity, u.portfolio, u.native_code, u.asset, u.stretch
HAVING max(u.day) = (SELECT n.day FROM newest AS n WHERE n.calendar = u.calendar)
ORDER BY u.calendar, u.entity, u.portfolio, u.native_code
