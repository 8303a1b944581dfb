-- The first admin, for scripts/create_admin.sh: the account, its audit entries and its event, in one transaction.
-- The address is in lower case; the hash is argon2id's, of the password in NFKC; the time is RFC 3339 in UTC with
-- milliseconds. Where the address has an account, the first statement fails and nothing is written.
INSERT INTO users (id, email, name, password_hash, given_role, disabled, version, created_at, updated_at)
VALUES (:id, :email, :name, :password_hash, 'admin', 0, 1, :at, :at);

INSERT INTO audit (id, action, actor_id, subject_id, details, occurred_at)
VALUES (:audit_id, 'user.registered', 'operator', :id, json_object('role', 'admin'), :at);

INSERT INTO outbox (event) VALUES (json_object(
  'specversion', '1.0', 'id', :event_id, 'source', '/services/user', 'type', 'user.registered', 'subject', :id,
  'time', :at, 'datacontenttype', 'application/json', 'dataversion', 1, 'traceparent', :traceparent,
  'data', json_object('role', 'admin')
));
