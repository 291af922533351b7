-- Why: a dashboard must not add up a row for each hour, caller and version to say what a day was like, and whoever reads
-- the tables with a tool of their own should not have to know how rows are kept.

-- Roll-ups of `exchange_hours` for the questions that are asked most, kept up by the same writer in the same transaction.
-- Their keys begin with whose they are, so that one caller's month is one stretch of an index.

CREATE TABLE exchange_caller_hours (
  caller_id text NOT NULL,
  hour timestamptz NOT NULL,
  project_id text NOT NULL,
  -- the last one that was seen; callers with tokens are in no other table
  caller_name text,
  requests bigint NOT NULL,
  cancelled bigint NOT NULL,
  failed bigint NOT NULL,
  refused bigint NOT NULL,
  prompt_tokens bigint NOT NULL,
  cached_tokens bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  cost_usd numeric(20, 9) NOT NULL,
  total_ms_counts bigint[] NOT NULL,
  time_to_first_token_ms_counts bigint[] NOT NULL,
  PRIMARY KEY (caller_id, hour, project_id)
);
CREATE INDEX exchange_caller_hours_hour ON exchange_caller_hours (hour);

CREATE TABLE exchange_model_hours (
  project_id text NOT NULL,
  hour timestamptz NOT NULL,
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
  total_ms_counts bigint[] NOT NULL,
  time_to_first_token_ms_counts bigint[] NOT NULL,
  PRIMARY KEY (project_id, hour, model, version, upstream)
);
CREATE INDEX exchange_model_hours_hour ON exchange_model_hours (hour);

-- An exchange with three tags counts once for each of them.
CREATE TABLE exchange_tag_hours (
  project_id text NOT NULL,
  hour timestamptz NOT NULL,
  tag text NOT NULL,
  requests bigint NOT NULL,
  cancelled bigint NOT NULL,
  failed bigint NOT NULL,
  refused bigint NOT NULL,
  prompt_tokens bigint NOT NULL,
  cached_tokens bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  cost_usd numeric(20, 9) NOT NULL,
  total_ms_counts bigint[] NOT NULL,
  time_to_first_token_ms_counts bigint[] NOT NULL,
  PRIMARY KEY (project_id, hour, tag)
);
CREATE INDEX exchange_tag_hours_hour ON exchange_tag_hours (hour);

CREATE AGGREGATE sum_counts(bigint[]) (
  SFUNC = add_counts, STYPE = bigint[], INITCOND = '{}', COMBINEFUNC = add_counts, PARALLEL = SAFE
);

INSERT INTO exchange_caller_hours
SELECT
  caller_id, hour, project_id, null, sum(requests), sum(cancelled), sum(failed), sum(refused), sum(prompt_tokens),
  sum(cached_tokens), sum(completion_tokens), sum(cost_usd), sum_counts(total_ms_counts),
  sum_counts(time_to_first_token_ms_counts)
FROM exchange_hours
GROUP BY caller_id, hour, project_id;

INSERT INTO exchange_model_hours
SELECT
  project_id, hour, model, version, upstream, sum(requests), sum(cancelled), sum(failed), sum(refused),
  sum(prompt_tokens), sum(cached_tokens), sum(completion_tokens), sum(cost_usd), sum_counts(total_ms_counts),
  sum_counts(time_to_first_token_ms_counts)
FROM exchange_hours
GROUP BY project_id, hour, model, version, upstream;

-- Milliseconds by share, for shares that ascend; null where nothing was counted. Within a bucket times are taken to lie
-- evenly on a logarithmic scale. The bucket is the right one, so that no figure is off by more than its width, a factor
-- of 2^(1/2). What is in the last bucket is told as its lower end.
CREATE FUNCTION percentiles_of_counts(counts bigint[], shares float8[]) RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  total float8 := (SELECT sum(n) FROM unnest(counts) AS n);
  percentiles float8[] := '{}';
  share float8;
  below float8 := 0;
  bucket integer := 1;
  part float8;
BEGIN
  IF total IS NULL OR total = 0 THEN
    RETURN NULL;
  END IF;
  FOREACH share IN ARRAY shares LOOP
    WHILE below + counts[bucket] < share * total LOOP
      below := below + counts[bucket];
      bucket := bucket + 1;
    END LOOP;
    part := (share * total - below) / counts[bucket];
    percentiles := percentiles || CASE
      WHEN bucket = 1 THEN part
      WHEN bucket = 48 THEN power(2, 23)
      ELSE power(2, (bucket - 2 + part) / 2)
    END;
  END LOOP;
  RETURN percentiles;
END $$;

-- The lowest id of that moment: `id >= exchange_id_at('2027-01-31')` reads the days from then on, and no others.
CREATE FUNCTION exchange_id_at(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN rpad(
  lpad(to_hex(greatest(0, floor(extract(epoch FROM at) * 1000))::bigint), 12, '0'), 32, '0'
)::uuid;

-- A few pages for a day: whoever filters by time alone looks at these of other days, and not at their rows.
CREATE INDEX exchanges_started_at ON exchanges USING brin (started_at)
  WITH (autosummarize = on, pages_per_range = 32);
CREATE INDEX exchanges_not_completed ON exchanges (id) WHERE outcome <> 'completed';
-- Tells whether anybody still refers to a text; equal values share their place in it.
CREATE INDEX exchange_bodies_system_prompt ON exchange_bodies (system_prompt) WHERE system_prompt IS NOT NULL;

-- The same for days of hours.
CREATE INDEX exchange_hours_day ON exchange_hours USING brin (((hour AT TIME ZONE 'UTC')::date));
CREATE INDEX exchange_model_hours_day ON exchange_model_hours USING brin (((hour AT TIME ZONE 'UTC')::date));

-- Days that a project's texts are kept, where that is shorter than the server keeps them; null: as long.
ALTER TABLE projects ADD COLUMN bodies_retention_days integer CHECK (bodies_retention_days > 0);

-- Views for tools that read: docs/reporting.md tells of every column.

CREATE VIEW report_exchanges AS
SELECT
  exchanges.id, exchanges.started_at, exchanges.caller_id, coalesce(api_keys.name, exchanges.caller_name) AS caller_name,
  exchanges.project_id, projects.name AS project_name, exchanges.end_user, exchanges.session,
  exchanges.conversation_id, exchanges.previous_id, exchanges.tags, exchanges.metadata, exchanges.method,
  exchanges.route, exchanges.requested_model, exchanges.model, exchanges.version, exchanges.upstream,
  exchanges.attempt_count, exchanges.attempts, exchanges.streamed, exchanges.finish_reasons, exchanges.prompt_tokens,
  exchanges.cached_tokens, exchanges.completion_tokens, exchanges.is_usage_estimated, exchanges.cost_usd,
  exchanges.cache, exchanges.queue_ms, exchanges.prefill_ms, exchanges.decode_ms, exchanges.time_to_first_token_ms,
  exchanges.inter_token_ms, exchanges.overhead_ms, exchanges.total_ms, exchanges.outcome, exchanges.status,
  exchanges.error_code, exchanges.error_message
FROM exchanges
LEFT JOIN api_keys ON api_keys.id = exchanges.caller_id
LEFT JOIN projects ON projects.id = exchanges.project_id;

CREATE VIEW report_texts AS
SELECT
  exchange_bodies.id, system_prompts.text AS system_prompt, exchange_bodies.prompt, exchange_bodies.answer,
  exchange_bodies.tool_calls, exchange_bodies.parameters
FROM exchange_bodies
LEFT JOIN system_prompts ON system_prompts.digest = exchange_bodies.system_prompt;

CREATE VIEW report_errors AS
SELECT
  id, started_at, caller_id, caller_name, project_id, requested_model, model, version, upstream, attempt_count,
  attempts, outcome, status, error_code, error_message, total_ms
FROM exchanges
WHERE outcome <> 'completed';

CREATE VIEW report_turns AS
SELECT
  conversation_id, id, previous_id, started_at, caller_id, project_id, end_user, session, model, version, upstream,
  prompt_tokens, completion_tokens, cost_usd, total_ms, outcome
FROM exchanges
WHERE conversation_id IS NOT NULL;

CREATE VIEW report_hours AS
SELECT
  hours.hour, nullif(hours.caller_id, '') AS caller_id, api_keys.name AS caller_name,
  nullif(hours.project_id, '') AS project_id, projects.name AS project_name, nullif(hours.model, '') AS model,
  nullif(hours.version, '') AS version, nullif(hours.upstream, '') AS upstream, hours.requests,
  hours.requests - hours.cancelled - hours.failed - hours.refused AS completed, hours.cancelled, hours.failed,
  hours.refused, hours.prompt_tokens, hours.cached_tokens, hours.completion_tokens, hours.cost_usd,
  total.ms[1] AS total_ms_p50, total.ms[2] AS total_ms_p90, total.ms[3] AS total_ms_p95, total.ms[4] AS total_ms_p99,
  first.ms[1] AS time_to_first_token_ms_p50, first.ms[2] AS time_to_first_token_ms_p90,
  first.ms[3] AS time_to_first_token_ms_p95, first.ms[4] AS time_to_first_token_ms_p99
FROM exchange_hours hours
LEFT JOIN api_keys ON api_keys.id::text = hours.caller_id
LEFT JOIN projects ON projects.id::text = hours.project_id
CROSS JOIN LATERAL (SELECT percentiles_of_counts(hours.total_ms_counts, '{0.5,0.9,0.95,0.99}')) AS total (ms)
CROSS JOIN LATERAL (
  SELECT percentiles_of_counts(hours.time_to_first_token_ms_counts, '{0.5,0.9,0.95,0.99}')
) AS first (ms);

CREATE VIEW report_days AS
SELECT
  days.day, nullif(days.caller_id, '') AS caller_id, api_keys.name AS caller_name,
  nullif(days.project_id, '') AS project_id, projects.name AS project_name, nullif(days.model, '') AS model,
  nullif(days.version, '') AS version, nullif(days.upstream, '') AS upstream, days.requests,
  days.requests - days.cancelled - days.failed - days.refused AS completed, days.cancelled, days.failed, days.refused,
  days.prompt_tokens, days.cached_tokens, days.completion_tokens, days.cost_usd
FROM (
  SELECT
    (hour AT TIME ZONE 'UTC')::date AS day, caller_id, project_id, model, version, upstream,
    sum(requests)::bigint AS requests, sum(cancelled)::bigint AS cancelled, sum(failed)::bigint AS failed,
    sum(refused)::bigint AS refused, sum(prompt_tokens)::bigint AS prompt_tokens,
    sum(cached_tokens)::bigint AS cached_tokens, sum(completion_tokens)::bigint AS completion_tokens,
    sum(cost_usd) AS cost_usd
  FROM exchange_hours
  GROUP BY 1, 2, 3, 4, 5, 6
) AS days
LEFT JOIN api_keys ON api_keys.id::text = days.caller_id
LEFT JOIN projects ON projects.id::text = days.project_id;

CREATE VIEW report_latencies AS
SELECT
  days.day, nullif(days.project_id, '') AS project_id, nullif(days.model, '') AS model,
  nullif(days.version, '') AS version, nullif(days.upstream, '') AS upstream, days.completed,
  total.ms[1] AS total_ms_p50, total.ms[2] AS total_ms_p90, total.ms[3] AS total_ms_p95, total.ms[4] AS total_ms_p99,
  first.ms[1] AS time_to_first_token_ms_p50, first.ms[2] AS time_to_first_token_ms_p90,
  first.ms[3] AS time_to_first_token_ms_p95, first.ms[4] AS time_to_first_token_ms_p99
FROM (
  SELECT
    (hour AT TIME ZONE 'UTC')::date AS day, project_id, model, version, upstream,
    sum(requests - cancelled - failed - refused)::bigint AS completed, sum_counts(total_ms_counts) AS total,
    sum_counts(time_to_first_token_ms_counts) AS first
  FROM exchange_model_hours
  GROUP BY 1, 2, 3, 4, 5
) AS days
CROSS JOIN LATERAL (SELECT percentiles_of_counts(days.total, '{0.5,0.9,0.95,0.99}')) AS total (ms)
CROSS JOIN LATERAL (SELECT percentiles_of_counts(days.first, '{0.5,0.9,0.95,0.99}')) AS first (ms);
