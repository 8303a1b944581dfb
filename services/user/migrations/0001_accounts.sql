-- Accounts, their sessions and the keys that sign access tokens; what was changed of rights; events waiting to be sent.
-- A time is RFC 3339 in UTC with milliseconds, which sorts as text.

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  password_hash TEXT NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
  given_role TEXT NOT NULL CHECK (given_role IN ('customer', 'staff', 'admin')),
  disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
  version INTEGER NOT NULL CHECK (version >= 1),
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX users_active_admins ON users (id) WHERE given_role = 'admin' AND disabled = 0;
CREATE INDEX users_by_role ON users (given_role, id);

-- Two admins who disable each other at the same moment must not both succeed.
CREATE TRIGGER users_keep_an_admin BEFORE UPDATE OF given_role, disabled ON users
WHEN OLD.given_role = 'admin' AND OLD.disabled = 0 AND (NEW.given_role <> 'admin' OR NEW.disabled = 1)
  AND NOT EXISTS (SELECT 1 FROM users WHERE given_role = 'admin' AND disabled = 0 AND id <> OLD.id)
BEGIN
  SELECT RAISE(ABORT, 'illegal removal of the last admin');
END;

CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id),
  started_at TEXT NOT NULL,
  expires_at TEXT NOT NULL CHECK (expires_at > started_at),
  ended_at TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user_id) WHERE ended_at IS NULL;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TRIGGER sessions_end_once BEFORE UPDATE ON sessions
WHEN OLD.ended_at IS NOT NULL OR NEW.ended_at IS NULL OR NEW.user_id <> OLD.user_id OR NEW.expires_at <> OLD.expires_at
BEGIN
  SELECT RAISE(ABORT, 'illegal change of a session');
END;

CREATE TABLE refresh_tokens (
  digest TEXT PRIMARY KEY CHECK (length(digest) = 64),
  session_id TEXT NOT NULL REFERENCES sessions (id),
  issued_at TEXT NOT NULL,
  used_at TEXT
) STRICT, WITHOUT ROWID;

-- A session has one refresh token that is good.
CREATE UNIQUE INDEX refresh_tokens_unused ON refresh_tokens (session_id) WHERE used_at IS NULL;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

CREATE TRIGGER refresh_tokens_are_used_once BEFORE UPDATE ON refresh_tokens
WHEN OLD.used_at IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'illegal second use of a refresh token');
END;

-- A key that its successor overtook, because the overlap was made shorter, verifies until before it would sign.
CREATE TABLE signing_keys (
  id TEXT PRIMARY KEY,
  public_key TEXT NOT NULL CHECK (json_valid(public_key)),
  sealed_private_key TEXT NOT NULL,
  signs_from TEXT NOT NULL,
  verifies_until TEXT
) STRICT, WITHOUT ROWID;

-- One key is the newest: of two that are made at the same first need, one is refused.
CREATE UNIQUE INDEX signing_keys_newest ON signing_keys (verifies_until IS NULL) WHERE verifies_until IS NULL;

CREATE TABLE sign_in_attempts (
  id INTEGER PRIMARY KEY,
  account TEXT NOT NULL CHECK (length(account) = 64),
  address TEXT NOT NULL CHECK (length(address) = 64),
  at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX sign_in_attempts_by_account ON sign_in_attempts (account, at_ms);
CREATE INDEX sign_in_attempts_by_address ON sign_in_attempts (address, at_ms);
CREATE INDEX sign_in_attempts_by_time ON sign_in_attempts (at_ms);

CREATE TABLE audit (
  id TEXT PRIMARY KEY,
  action TEXT NOT NULL CHECK (length(action) BETWEEN 1 AND 100),
  actor_id TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  details TEXT NOT NULL CHECK (json_valid(details)),
  occurred_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_by_subject ON audit (subject_id, id);
CREATE INDEX audit_by_company ON audit (json_extract(details, '$.company_id'), id);

CREATE TRIGGER audit_is_not_rewritten BEFORE UPDATE ON audit
BEGIN
  SELECT RAISE(ABORT, 'illegal change of the audit');
END;

CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
BEGIN
  SELECT RAISE(ABORT, 'illegal deletion of the audit');
END;

CREATE TABLE outbox (
  position INTEGER PRIMARY KEY,
  event TEXT NOT NULL,
  claimed_until TEXT
) STRICT;
