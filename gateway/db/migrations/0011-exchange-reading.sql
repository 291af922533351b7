-- Why: what was asked has to be found in a moment among millions of rows, and every index is paid for with every row
-- that is written. So there are few: B-trees where a needle is looked for over months, small where most rows have
-- nothing there; for all other columns summaries of every 8 pages (BRIN), which cost next to nothing and tell where not
-- to look; and words, which are taken from texts behind the writer's back.

-- Links of conversations whose clients send them anew with every request: SHA-256, cut to 16 bytes, of the conversation
-- up to and with this answer, and of that up to and with the last answer in the request (gateway/exchange-log/thread.ts).
ALTER TABLE exchanges ADD COLUMN digest bytea, ADD COLUMN previous_digest bytea;

CREATE INDEX exchanges_caller ON exchanges (caller_id, id);
CREATE INDEX exchanges_project ON exchanges (project_id, id) WHERE project_id IS NOT NULL;
CREATE INDEX exchanges_version ON exchanges (version, id) WHERE version IS NOT NULL;
CREATE INDEX exchanges_end_user ON exchanges (end_user, id) WHERE end_user IS NOT NULL;
CREATE INDEX exchanges_session ON exchanges (session, id) WHERE session IS NOT NULL;
CREATE INDEX exchanges_conversation ON exchanges (conversation_id, id) WHERE conversation_id IS NOT NULL;
CREATE INDEX exchanges_outcome ON exchanges (outcome, id) WHERE outcome <> 'completed';
CREATE INDEX exchanges_error_code ON exchanges (error_code, id) WHERE error_code IS NOT NULL;
CREATE INDEX exchanges_tags ON exchanges USING gin (tags) WHERE tags IS NOT NULL;
CREATE INDEX exchanges_metadata ON exchanges USING gin (metadata jsonb_path_ops) WHERE metadata IS NOT NULL;

-- A range of 8 pages is some 200 rows: fewer pages, and reading the summaries takes as long as reading the rows; more,
-- and a rare value drags too many neighbours along. With the id, so that a time's ranges alone are looked at.
CREATE INDEX exchanges_words_in_ranges ON exchanges USING brin (
  id,
  caller_name text_bloom_ops (n_distinct_per_range = 128),
  previous_id uuid_bloom_ops (n_distinct_per_range = 64),
  method text_bloom_ops (n_distinct_per_range = 16),
  route text_bloom_ops (n_distinct_per_range = 16),
  requested_model text_bloom_ops (n_distinct_per_range = 64),
  model text_bloom_ops (n_distinct_per_range = 64),
  upstream text_bloom_ops (n_distinct_per_range = 16),
  (finish_reasons[1]) text_bloom_ops (n_distinct_per_range = 16),
  cache
) WITH (pages_per_range = 8);
CREATE INDEX exchanges_figures_in_ranges ON exchanges USING brin (
  id, attempt_count, (streamed::int), prompt_tokens, cached_tokens, completion_tokens, (is_usage_estimated::int), cost_usd,
  queue_ms, prefill_ms, decode_ms, time_to_first_token_ms, inter_token_ms, overhead_ms, total_ms, status,
  (is_stored::int)
) WITH (pages_per_range = 8);

-- Words of what is new in an exchange. Vectors lie apart from the ids, so that the ids of a word that is everywhere are
-- read in a moment. No vector: its text was refused.
CREATE TABLE exchange_words (
  id uuid PRIMARY KEY,
  words tsvector
) PARTITION BY RANGE (id);
CREATE INDEX exchange_words_words ON exchange_words USING gin (words);

-- What was written, in the order in which it came: for whoever watches, and for whoever indexes words. Ids alone do not
-- tell: what waited in a spool comes late. A row for each batch, deleted when it is indexed and a while old.
CREATE TABLE exchange_arrivals (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  ids uuid[] NOT NULL,
  is_indexed boolean NOT NULL DEFAULT false
);
CREATE INDEX exchange_arrivals_to_index ON exchange_arrivals (number) WHERE NOT is_indexed;

-- The texts of a message's content, or of a list of them: a string, or parts that have one.
CREATE FUNCTION texts_of_content(json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE json_typeof($1)
  WHEN 'string' THEN $1 #>> '{}'
  WHEN 'array' THEN (
    SELECT string_agg(
      CASE json_typeof(part)
        WHEN 'string' THEN part #>> '{}'
        WHEN 'object' THEN CASE WHEN json_typeof(part -> 'text') = 'string' THEN part ->> 'text' END
      END, E'\n')
    FROM json_array_elements($1) AS part
  )
END;

-- What a prompt says that was not said before: what stands behind the last message of the assistant, without system
-- prompts. A prompt that is no list of messages is new as a whole.
CREATE FUNCTION new_in_prompt(json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN json_typeof($1) <> 'array' OR json_typeof($1 -> 0) <> 'object' THEN texts_of_content($1)
  ELSE (
    SELECT string_agg(texts_of_content(message -> 'content'), E'\n' ORDER BY place)
    FROM (
      SELECT message, place, max(place) FILTER (WHERE message ->> 'role' = 'assistant') OVER () AS answered
      FROM json_array_elements($1) WITH ORDINALITY AS messages (message, place)
      WHERE json_typeof(message) = 'object'
    ) AS placed
    WHERE place > coalesce(answered, 0)
      AND message ->> 'role' IS DISTINCT FROM 'system' AND message ->> 'role' IS DISTINCT FROM 'developer'
  )
END;
