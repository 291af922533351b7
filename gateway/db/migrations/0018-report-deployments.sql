-- Why: whoever compares versions by a tool of their own has to know which deployment led to each exchange. A column that is
-- added at the end leaves the others, and who may read them, as they are.

CREATE OR REPLACE VIEW report_exchanges AS
SELECT
  exchanges.id, exchanges.started_at, exchanges.caller_id, coalesce(api_keys.name, exchanges.caller_name) AS caller_name,
  exchanges.project_id, projects.name AS project_name, exchanges.end_user, exchanges.session,
  exchanges.conversation_id, exchanges.previous_id, exchanges.tags, exchanges.metadata, exchanges.method,
  exchanges.route, exchanges.requested_model, exchanges.model, exchanges.version, exchanges.upstream,
  exchanges.attempt_count, exchanges.attempts, exchanges.streamed, exchanges.finish_reasons, exchanges.prompt_tokens,
  exchanges.cached_tokens, exchanges.completion_tokens, exchanges.is_usage_estimated, exchanges.cost_usd,
  exchanges.cache, exchanges.queue_ms, exchanges.prefill_ms, exchanges.decode_ms, exchanges.time_to_first_token_ms,
  exchanges.inter_token_ms, exchanges.overhead_ms, exchanges.total_ms, exchanges.outcome, exchanges.status,
  exchanges.error_code, exchanges.error_message, exchanges.deployment
FROM exchanges
LEFT JOIN api_keys ON api_keys.id = exchanges.caller_id
LEFT JOIN projects ON projects.id = exchanges.project_id;
