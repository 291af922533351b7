-- Why: whoever calls is known by a key; only its hash is kept, so that a stolen table opens nothing.

CREATE TABLE api_keys (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  -- SHA-256: keys are 256 random bits, so that a slow hash would only slow down every request
  key_hash bytea NOT NULL UNIQUE,
  -- the key's first characters, enough for its holder to recognise it
  prefix text NOT NULL,
  role text NOT NULL CHECK (role IN ('caller', 'admin')),
  created_at timestamptz NOT NULL,
  -- rows stay when keys are revoked: exchanges go on naming them
  revoked_at timestamptz
);

-- A name can be taken again once its key is revoked.
CREATE UNIQUE INDEX api_keys_valid_name ON api_keys (name) WHERE revoked_at IS NULL;
