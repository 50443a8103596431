"""Accounts, in SQL: people, their sessions and keys, members of sellers; what was revoked and what changed.

Tokens are stored as hashes only: who reads the database can't sign in with what stands there.
"""

ACCOUNTS = """
CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    email text NOT NULL CHECK (length(email) BETWEEN 3 AND 320),
    -- NFKC-normalised and case-folded: what addresses are compared by.
    email_key text NOT NULL UNIQUE CHECK (length(email_key) BETWEEN 3 AND 640),
    name text NOT NULL DEFAULT '' CHECK (length(name) <= 200),
    password_hash text NOT NULL CHECK (length(password_hash) BETWEEN 20 AND 200),
    -- SELLER isn't among them: it comes with membership of an approved seller.
    roles text[] NOT NULL DEFAULT '{BUYER}' CHECK (roles <@ '{ADMIN,BUYER}'::text[]),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    verified_at timestamptz,
    -- Access tokens carry it; one with a lower number than the account's is refused.
    epoch integer NOT NULL DEFAULT 1 CHECK (epoch > 0),
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A session is a family of refresh tokens, each made from the one before.
CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id),
    address text NOT NULL DEFAULT '' CHECK (length(address) <= 100),
    client text NOT NULL DEFAULT '' CHECK (length(client) <= 200),
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX sessions_account ON sessions (account_id, id);
CREATE INDEX sessions_expired ON sessions (expires_at);

CREATE TABLE refresh_tokens (
    hash bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    spent_at timestamptz
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_expired ON refresh_tokens (expires_at);

-- What a link in a mail is good for, once. The link's token is derived from the id and stands nowhere.
CREATE TABLE one_time_tokens (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id),
    purpose text NOT NULL CHECK (purpose IN ('verify_email', 'reset_password')),
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX one_time_tokens_account ON one_time_tokens (account_id, purpose);
CREATE INDEX one_time_tokens_expired ON one_time_tokens (expires_at);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    scopes text[] NOT NULL CHECK (cardinality(scopes) BETWEEN 1 AND 50),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    revoked_at timestamptz,
    -- Rotation leaves both good for a while: the old one ends at its expires_at, which rotation moves closer.
    replaced_by uuid REFERENCES api_keys (id)
);
CREATE INDEX api_keys_account ON api_keys (account_id, id);

CREATE TABLE addresses (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    company text NOT NULL DEFAULT '' CHECK (length(company) <= 200),
    line1 text NOT NULL CHECK (length(line1) BETWEEN 1 AND 200),
    line2 text NOT NULL DEFAULT '' CHECK (length(line2) <= 200),
    postal_code text NOT NULL DEFAULT '' CHECK (length(postal_code) <= 20),
    city text NOT NULL CHECK (length(city) BETWEEN 1 AND 200),
    region text NOT NULL DEFAULT '' CHECK (length(region) <= 100),
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    phone text NOT NULL DEFAULT '' CHECK (length(phone) <= 40),
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX addresses_account ON addresses (account_id, id);
"""

SELLERS = """
ALTER TABLE sellers
    ADD COLUMN description text NOT NULL DEFAULT '' CHECK (length(description) <= 2000),
    -- Why it was rejected or suspended.
    ADD COLUMN reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 2000),
    -- Encrypted; what is shown of it stands beside it.
    ADD COLUMN payout bytea CHECK (octet_length(payout) <= 4000),
    ADD COLUMN payout_shown text NOT NULL DEFAULT '' CHECK (length(payout_shown) <= 200),
    ADD COLUMN version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    ADD CONSTRAINT sellers_payout_is_shown CHECK ((payout IS NULL) = (payout_shown = ''));
CREATE INDEX sellers_status ON sellers (status, id);

-- An account belongs to one seller at most.
CREATE TABLE seller_members (
    account_id uuid PRIMARY KEY REFERENCES accounts (id),
    seller_id uuid NOT NULL REFERENCES sellers (id),
    position text NOT NULL CHECK (position IN ('owner', 'staff')),
    added_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX seller_members_seller ON seller_members (seller_id, account_id);
"""

FRESHNESS = """
-- What tokens in hand are no longer good for: those of an account below an epoch, of a session, of an API key.
CREATE TABLE revocations (
    subject uuid PRIMARY KEY,
    epoch integer NOT NULL CHECK (epoch > 0),
    at timestamptz NOT NULL DEFAULT now(),
    -- Commits land out of order: who follows this table asks for what the last look may not have seen.
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX revocations_xid ON revocations (xid);
CREATE INDEX revocations_at ON revocations (at);

-- Which things of the catalog changed last in which transaction: what a cached read is held against.
CREATE TABLE catalog_changes (
    thing uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX catalog_changes_xid ON catalog_changes (xid);
CREATE INDEX catalog_changes_at ON catalog_changes (at);
"""


ORDERS = """
-- Where a guest is written to; of a buyer without one, the account says it.
ALTER TABLE orders ADD COLUMN email text CHECK (length(email) BETWEEN 3 AND 254);
"""


def statements() -> list[str]:
    """Return the statements in the order they run."""
    return [ACCOUNTS, SELLERS, FRESHNESS, ORDERS]
