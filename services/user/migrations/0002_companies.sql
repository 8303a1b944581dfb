-- Wholesale companies, who belongs to them and as what, and what their buyers have ordered.
--
-- A version counts the changes of its row, and those of a company also the changes of its members. A writer who
-- decided on what he had read writes that version plus one; when another was quicker the trigger fails his batch.

CREATE TABLE companies (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  tax_id TEXT NOT NULL COLLATE NOCASE,
  address TEXT NOT NULL CHECK (json_valid(address)),
  status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'rejected')),
  reason TEXT,
  version INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  CHECK (status <> 'rejected' OR reason IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX companies_tax_id ON companies (tax_id) WHERE status <> 'rejected';
CREATE INDEX companies_by_status ON companies (status, id);

CREATE TRIGGER companies_begin BEFORE INSERT ON companies
WHEN NEW.status <> 'pending' OR NEW.version <> 1
BEGIN
  SELECT RAISE(ABORT, 'a company begins as pending');
END;

CREATE TRIGGER companies_change_one_at_a_time BEFORE UPDATE ON companies
WHEN NEW.version <> OLD.version + 1
BEGIN
  SELECT RAISE(ABORT, 'the company was changed by another');
END;

CREATE TRIGGER companies_change_legally BEFORE UPDATE ON companies
WHEN NEW.status <> OLD.status AND OLD.status <> 'pending'
BEGIN
  SELECT RAISE(ABORT, 'illegal change of a company');
END;

-- One who is invited has no account yet: user_id is the one that it will have. occupies says that this is the one
-- company that an account may belong to, which a rejected one is not.
CREATE TABLE company_members (
  company_id TEXT NOT NULL REFERENCES companies (id),
  user_id TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('admin', 'buyer', 'approver')),
  status TEXT NOT NULL CHECK (status IN ('invited', 'active')),
  limit_minor INTEGER CHECK (limit_minor >= 0),
  limit_currency TEXT CHECK (length(limit_currency) = 3),
  email TEXT,
  token_digest TEXT UNIQUE CHECK (length(token_digest) = 64),
  invitation_expires_at TEXT,
  occupies INTEGER NOT NULL DEFAULT 1 CHECK (occupies IN (0, 1)),
  version INTEGER NOT NULL DEFAULT 1,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (company_id, user_id),
  CHECK ((limit_minor IS NULL) = (limit_currency IS NULL)),
  CHECK ((status = 'invited') = (email IS NOT NULL)),
  CHECK ((status = 'invited') = (token_digest IS NOT NULL)),
  CHECK ((status = 'invited') = (invitation_expires_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX company_members_one_company ON company_members (user_id) WHERE occupies = 1;
CREATE UNIQUE INDEX company_members_invited_once ON company_members (company_id, email) WHERE status = 'invited';

CREATE TRIGGER company_members_have_an_account BEFORE INSERT ON company_members
WHEN NEW.status = 'active' AND NOT EXISTS (SELECT 1 FROM users WHERE id = NEW.user_id)
BEGIN
  SELECT RAISE(ABORT, 'a member has an account');
END;

CREATE TRIGGER company_members_join_with_an_account BEFORE UPDATE OF status ON company_members
WHEN NEW.status <> OLD.status
  AND (NEW.status <> 'active' OR NOT EXISTS (SELECT 1 FROM users WHERE id = NEW.user_id))
BEGIN
  SELECT RAISE(ABORT, 'one who was invited becomes a member with his account');
END;

CREATE TRIGGER company_members_change_one_at_a_time
BEFORE UPDATE OF company_id, user_id, role, status, limit_minor, limit_currency, version ON company_members
WHEN NEW.version <> OLD.version + 1 OR NEW.company_id <> OLD.company_id OR NEW.user_id <> OLD.user_id
BEGIN
  SELECT RAISE(ABORT, 'the member was changed by another');
END;

CREATE TRIGGER company_members_keep_an_admin BEFORE UPDATE OF role ON company_members
WHEN OLD.role = 'admin' AND OLD.status = 'active' AND NEW.role <> 'admin' AND NOT EXISTS (
  SELECT 1 FROM company_members WHERE company_id = OLD.company_id AND user_id <> OLD.user_id
  AND role = 'admin' AND status = 'active'
)
BEGIN
  SELECT RAISE(ABORT, 'a company keeps an admin');
END;

CREATE TRIGGER company_members_leave_an_admin BEFORE DELETE ON company_members
WHEN OLD.role = 'admin' AND OLD.status = 'active' AND NOT EXISTS (
  SELECT 1 FROM company_members WHERE company_id = OLD.company_id AND user_id <> OLD.user_id
  AND role = 'admin' AND status = 'active'
)
BEGIN
  SELECT RAISE(ABORT, 'a company keeps an admin');
END;

CREATE TRIGGER companies_rejected AFTER UPDATE OF status ON companies
WHEN NEW.status = 'rejected'
BEGIN
  UPDATE company_members SET occupies = 0 WHERE company_id = NEW.id;
END;

-- Who may order for which company at this moment, and for how much.
CREATE VIEW buyers AS
SELECT member.user_id, member.company_id, member.role, member.limit_minor, member.limit_currency
FROM company_members AS member
JOIN companies AS company ON company.id = member.company_id
JOIN users AS account ON account.id = member.user_id
-- What is approved occupies its members, and that is what the index is on.
WHERE member.occupies = 1 AND member.status = 'active' AND company.status = 'approved'
AND account.given_role = 'customer' AND account.disabled = 0;

-- What an order counts against its buyer's limit, from its authorisation until it is released. One that was released
-- before it was authorised has a mark only, which refuses what comes late.
CREATE TABLE spending (
  order_id TEXT PRIMARY KEY,
  company_id TEXT REFERENCES companies (id),
  user_id TEXT REFERENCES users (id),
  amount_minor INTEGER CHECK (amount_minor >= 0),
  currency TEXT CHECK (length(currency) = 3),
  decision TEXT CHECK (decision IN ('within_limit', 'needs_approval', 'approved')),
  approver_id TEXT REFERENCES users (id),
  decided_at TEXT,
  approved_at TEXT,
  released_at TEXT,
  CHECK (decision IS NOT NULL OR released_at IS NOT NULL),
  CHECK ((decision IS NULL) = (company_id IS NULL)),
  CHECK ((decision IS NULL) = (user_id IS NULL)),
  CHECK ((decision IS NULL) = (amount_minor IS NULL)),
  CHECK ((decision IS NULL) = (currency IS NULL)),
  CHECK ((decision IS NULL) = (decided_at IS NULL)),
  CHECK ((decision IS NOT NULL AND decision = 'approved') = (approver_id IS NOT NULL)),
  CHECK ((approver_id IS NULL) = (approved_at IS NULL)),
  CHECK (approver_id <> user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX spending_counted ON spending (company_id, user_id, currency, amount_minor) WHERE released_at IS NULL;

CREATE TRIGGER spending_changes_legally BEFORE UPDATE ON spending
WHEN OLD.released_at IS NOT NULL
  OR NEW.order_id <> OLD.order_id
  OR NEW.company_id IS NOT OLD.company_id
  OR NEW.user_id IS NOT OLD.user_id
  OR NEW.amount_minor IS NOT OLD.amount_minor
  OR NEW.currency IS NOT OLD.currency
  OR NEW.decided_at IS NOT OLD.decided_at
  OR (OLD.approver_id IS NOT NULL AND NEW.approver_id IS NOT OLD.approver_id)
  OR (OLD.approved_at IS NOT NULL AND NEW.approved_at IS NOT OLD.approved_at)
  OR (NEW.decision IS NOT OLD.decision AND NOT (OLD.decision = 'needs_approval' AND NEW.decision = 'approved'))
BEGIN
  SELECT RAISE(ABORT, 'illegal change of what an order counts');
END;
