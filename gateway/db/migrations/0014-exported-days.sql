-- Why: several gateways export closed days to one place, each day once, and again where rows came late.

CREATE TABLE exported_days (
  -- where to: an address without secrets
  destination text NOT NULL,
  -- UTC
  day date NOT NULL,
  -- how often it was exported; its manifest has the same number
  generation integer NOT NULL,
  rows bigint NOT NULL,
  -- of exchange_hours, before the rows were read: another sum says that rows came later
  requests bigint NOT NULL,
  exported_at timestamptz NOT NULL,
  PRIMARY KEY (destination, day)
);
