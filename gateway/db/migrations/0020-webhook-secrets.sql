-- Why: a webhook's secret is changed while its receiver still checks by the one before; and what was logged before days were
-- tables goes where there is nothing in it.

ALTER TABLE webhooks
  -- sealed as the other one; calls are signed with both until then
  ADD COLUMN previous_secret text,
  ADD COLUMN previous_until timestamptz,
  ADD CHECK ((previous_secret IS NULL) = (previous_until IS NULL));

-- Elsewhere its rows go when their time is over (gateway/db/early-exchanges.ts).
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM exchanges_before_days) THEN
    DROP TABLE exchanges_before_days;
  END IF;
END
$$;
