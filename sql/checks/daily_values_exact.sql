-- description: Value = balance × price, half-even to the eighteenth place, recomputed with integers
-- weight: BLOCK
-- table: daily_values
-- looked_at: SELECT count(*) FROM daily_values
WITH limbs AS ( -- x = hi + lo / 10^18; DuckDB's own product of two DECIMAL(38,18) overflows
    SELECT *,
        trunc(balance)::HUGEINT AS bh, ((balance - trunc(balance))::DECIMAL(19,18) * 1000000000000000000::DECIMAL(19,0))::HUGEINT AS bl,
        trunc(price)::HUGEINT AS ph, ((price - trunc(price))::DECIMAL(19,18) * 1000000000000000000::DECIMAL(19,0))::HUGEINT AS pl,
        trunc(value)::HUGEINT AS vh, ((value - trunc(value))::DECIMAL(19,18) * 1000000000000000000::DECIMAL(19,0))::HUGEINT AS vl
    FROM daily_values
    WHERE (value = balance AND (price = 1 OR (balance = 0 AND price IS NOT NULL))) IS NOT TRUE -- plainly right needs no integers
), differences AS ( -- (balance × price − value) · 10^36 = whole · 10^18 + bl · pl; what overflows is far from equal
    SELECT *, TRY((bh * ph - vh) * 1000000000000000000 + bh * pl + bl * ph - vl) AS whole
    FROM limbs
)
SELECT calendar, day, account_id, balance, price, currency, value
FROM differences
WHERE CASE
    WHEN balance IS NULL OR price IS NULL THEN value IS NOT NULL
    WHEN value IS NULL OR whole IS NULL OR abs(whole) > 2000000000000000000 THEN true
    WHEN abs(whole * 1000000000000000000 + bl * pl) = 500000000000000000 THEN vl % 2 <> 0 -- a tie goes to the even digit
    ELSE abs(whole * 1000000000000000000 + bl * pl) > 500000000000000000
END
