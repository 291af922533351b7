-- Why: not everybody's texts may be kept as they are. A key or its project says what is; null: as the server does.

ALTER TABLE api_keys ADD COLUMN bodies text CHECK (bodies IN ('whole', 'redacted', 'none'));
ALTER TABLE projects ADD COLUMN bodies text CHECK (bodies IN ('whole', 'redacted', 'none'));

-- Names that stand for end users whose own may not be kept are made with it, the same ones on every replica.
CREATE TABLE pseudonym_key (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  key bytea NOT NULL
);
INSERT INTO pseudonym_key (key)
VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));
