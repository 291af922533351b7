-- Why: the log grows by millions of rows. A day's rows are tables of their own, which are dropped as a whole when their time
-- is over; figures lie apart from texts, which are read seldom and dropped sooner; a system prompt that every request
-- repeats is kept once. Ids are UUIDv7: they begin with the time, so that a range of ids is a range of time.

-- What was logged so far stays, apart: moving it could take hours.
ALTER TABLE exchanges RENAME TO exchanges_before_days;
ALTER INDEX exchanges_pkey RENAME TO exchanges_before_days_pkey;
ALTER INDEX exchanges_started_at RENAME TO exchanges_before_days_started_at;

CREATE TABLE exchanges (
  id uuid PRIMARY KEY,
  started_at timestamptz NOT NULL,
  -- of the key, or made of a token's issuer and subject; no foreign key, because nothing may keep a row from being logged
  caller_id uuid,
  caller_name text,
  project_id uuid,
  -- whom the caller asked for: `user`, `safety_identifier`, or `metadata.user_id`
  end_user text,
  session text,
  -- id of the conversation's first exchange, and of the one before this one
  conversation_id uuid,
  previous_id uuid,
  tags text[],
  -- strings by name, as OpenAI's `metadata`
  metadata jsonb,
  method text NOT NULL,
  route text NOT NULL,
  requested_model text,
  model text,
  version text,
  -- where the version is: the name of an upstream, or 'local'
  upstream text,
  attempt_count smallint NOT NULL,
  -- [{version, upstream, ms, error, detail}], in the order in which they were asked; null where the first one answered
  attempts jsonb,
  streamed boolean NOT NULL,
  finish_reasons text[],
  prompt_tokens integer,
  -- part of prompt_tokens
  cached_tokens integer,
  completion_tokens integer,
  is_usage_estimated boolean NOT NULL,
  -- to a billionth of a dollar: one token at a cent for a million is ten of them
  cost_usd numeric(20, 9),
  cache text CHECK (cache IN ('hit', 'miss')),
  queue_ms real,
  prefill_ms real,
  decode_ms real,
  time_to_first_token_ms real,
  -- between two tokens, on average
  inter_token_ms real,
  overhead_ms real,
  total_ms real NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('completed', 'cancelled', 'failed', 'refused')),
  status smallint NOT NULL,
  error_code text,
  error_message text,
  -- kept for its caller to read, by OpenAI's `store`
  is_stored boolean NOT NULL
) PARTITION BY RANGE (id);

-- One row for each exchange whose texts are kept.
CREATE TABLE exchange_bodies (
  id uuid PRIMARY KEY,
  -- messages or text as the client sent them; where a system prompt is kept apart, its content is null here
  prompt json,
  -- system_prompts.digest
  system_prompt bytea,
  -- one text for each choice, as far as it was produced
  answer text[],
  -- one list for each choice
  tool_calls json,
  -- everything else of the request's body
  parameters json
) PARTITION BY RANGE (id);

CREATE TABLE system_prompts (
  -- SHA-256 of the text
  digest bytea PRIMARY KEY,
  text text NOT NULL,
  -- said anew once a day, so that what nobody refers to any more can be found
  used_on date NOT NULL
);

-- Sums of a UTC hour, added to by whoever writes rows, in the same transaction. Hours outlive the rows they were made of.
-- Nothing is null, so that equal keys are equal: '' stands for what isn't known.
CREATE TABLE exchange_hours (
  hour timestamptz NOT NULL,
  caller_id text NOT NULL,
  project_id text NOT NULL,
  model text NOT NULL,
  version text NOT NULL,
  upstream text NOT NULL,
  requests bigint NOT NULL,
  cancelled bigint NOT NULL,
  failed bigint NOT NULL,
  refused bigint NOT NULL,
  prompt_tokens bigint NOT NULL,
  cached_tokens bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  cost_usd numeric(20, 9) NOT NULL,
  -- how many took how long, of those that completed: counts by bucket, trailing zeros left out. The nth element, from 1,
  -- holds more than 2^((n-2)/2) and up to 2^((n-1)/2) ms; the first all that is shorter, the 48th all that is longer
  total_ms_counts bigint[] NOT NULL,
  time_to_first_token_ms_counts bigint[] NOT NULL,
  PRIMARY KEY (hour, caller_id, project_id, model, version, upstream)
);

INSERT INTO exchange_hours
SELECT
  date_trunc('hour', at, 'UTC'), coalesce(key_id, ''), coalesce(project_id, ''), model, version, '', count(*), 0, 0, 0,
  sum(prompt_tokens), sum(cached_tokens), sum(completion_tokens), sum(cost_usd), '{}', '{}'
FROM spend
GROUP BY 1, 2, 3, 4, 5;

DROP TABLE spend, spend_hours, spend_rolled_up;

-- Adds histograms bucket by bucket; the shorter one has zeros where it ends.
CREATE FUNCTION add_counts(bigint[], bigint[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
  SELECT coalesce(array_agg(coalesce(one, 0) + coalesce(other, 0) ORDER BY bucket), '{}')
  FROM unnest($1, $2) WITH ORDINALITY AS counts (one, other, bucket)
);
