-- Why: every request leaves one row, whatever became of it: who asked what, what answered, what it took.

CREATE TABLE exchanges (
  -- UUIDv7, so that new rows go to the end of the index
  id uuid PRIMARY KEY,
  started_at timestamptz NOT NULL,
  closed_at timestamptz NOT NULL,
  -- api_keys.id; no foreign key, because nothing may keep a row from being logged
  caller_id uuid,
  caller_name text,
  method text NOT NULL,
  route text NOT NULL,
  requested_model text,
  model text,
  version text,
  streamed boolean NOT NULL,
  prompt jsonb,
  answer text[],
  parameters jsonb,
  finish_reasons text[],
  prompt_tokens integer,
  cached_tokens integer,
  completion_tokens integer,
  queue_ms double precision,
  prefill_ms double precision,
  decode_ms double precision,
  time_to_first_token_ms double precision,
  total_ms double precision NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('completed', 'cancelled', 'failed', 'refused')),
  status integer NOT NULL,
  error_code text,
  error_message text
);

CREATE INDEX exchanges_started_at ON exchanges (started_at);
