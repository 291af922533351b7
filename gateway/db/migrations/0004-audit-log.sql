-- Why: whoever depends on the gateway wants to know who changed what, and what it was before.

CREATE TABLE audit_log (
  -- UUIDv7, in the order in which things were done
  id uuid PRIMARY KEY,
  at timestamptz NOT NULL,
  -- api_keys.id, or what stands for the subject of a token; NULL: the admin key, or the command line
  actor_id uuid,
  actor_name text NOT NULL,
  via text NOT NULL CHECK (via IN ('api', 'command_line')),
  -- 'key.create', 'project.update'
  action text NOT NULL,
  object_kind text NOT NULL,
  -- text: some things are known by their names alone
  object_id text NOT NULL,
  object_name text NOT NULL,
  -- as the admin API tells it, so without secrets; NULL: it was not there
  before jsonb,
  after jsonb
);

CREATE INDEX audit_log_object ON audit_log (object_kind, object_id, id);

-- Append-only: not even a mistake of ours can change what was written.
CREATE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of audit_log are neither changed nor deleted';
END
$$;

CREATE TRIGGER audit_log_append_only
  BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse();
