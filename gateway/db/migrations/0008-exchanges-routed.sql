-- Why: an exchange may be answered by one of several targets, here or at an upstream, after others have failed, and costs
-- money; whoever reads the row has to see what was tried, who answered, and what of its figures was measured.

ALTER TABLE exchanges
  ADD COLUMN project_id uuid,
  -- where the version is: the name of an upstream, or 'local'
  ADD COLUMN upstream text,
  -- [{version, upstream, ms, error, detail}], in the order in which they were asked
  ADD COLUMN attempts jsonb,
  ADD COLUMN tool_calls jsonb,
  ADD COLUMN is_usage_estimated boolean NOT NULL DEFAULT false,
  ADD COLUMN cost_usd double precision,
  ADD COLUMN cache text CHECK (cache IN ('hit', 'miss')),
  ADD COLUMN overhead_ms double precision;
