CREATE TABLE users_users (
    id {{auto_id}},
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    -- The address in lower case: one mailbox, one user.
    email_key TEXT NOT NULL UNIQUE,
    created_ms BIGINT NOT NULL
);

-- One row once the demo data were considered, so that they come only once.
CREATE TABLE users_demo (
    id BIGINT PRIMARY KEY,
    done_ms BIGINT NOT NULL
);
