-- Why: a version on trial is taken back by what can be shown, so what its guards said is kept; a version that nobody sees
-- yet is compared with the live one answer by answer; and what a version has to reach before it may serve is the model's.

-- The model said no in words of its own; NULL: it didn't, or its target doesn't tell.
ALTER TABLE exchanges ADD COLUMN is_declined boolean;

-- What the guards of a canary said last: one row for each canary there ever was.
CREATE TABLE canary_verdicts (
  model text NOT NULL,
  -- number of the ledger's entry that it began with
  began integer NOT NULL,
  version text NOT NULL,
  -- number of the entry that is live since the step began
  step integer NOT NULL,
  -- GuardVerdict[] of gateway/canary/guards.ts
  guards json NOT NULL,
  -- exchanges of both versions so far
  canary_sample bigint NOT NULL,
  live_sample bigint NOT NULL,
  judged_at timestamptz NOT NULL,
  -- what was done: number of the entry that ended it; NULL while it is there
  ended integer,
  PRIMARY KEY (model, began)
);

-- One row for each exchange that a shadow answered as well. Its text is shown as long as the exchange's own is there.
CREATE TABLE shadow_answers (
  -- UUIDv7: when the exchange began
  exchange_id uuid PRIMARY KEY,
  model text NOT NULL,
  -- what answered the client
  live_version text NOT NULL,
  version text NOT NULL,
  upstream text NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('completed', 'failed')),
  error_code text,
  -- one for each choice; NULL where no texts may be kept
  answer text[],
  finish_reasons text[] NOT NULL,
  -- chrF, 0 to 1; NULL where it failed
  similarity real,
  prompt_tokens integer,
  completion_tokens integer,
  live_completion_tokens integer,
  -- what the operator paid for it; nobody is billed
  cost_usd numeric(20, 9),
  time_to_first_token_ms real,
  total_ms real NOT NULL,
  live_time_to_first_token_ms real,
  live_total_ms real NOT NULL
);
CREATE INDEX shadow_answers_model ON shadow_answers (model, exchange_id);

-- What a version of a model must have been measured at before it may be deployed.
CREATE TABLE model_requirements (
  model text NOT NULL,
  dataset text NOT NULL,
  metric text NOT NULL,
  -- inclusive; at least one of them
  min double precision,
  max double precision,
  PRIMARY KEY (model, dataset, metric),
  CHECK (min IS NOT NULL OR max IS NOT NULL)
);
