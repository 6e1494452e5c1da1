CREATE TABLE orders_orders (
    id {{auto_id}},
    user_id BIGINT NOT NULL,
    -- 0 until the stock is reserved, which sets the prices.
    amount BIGINT NOT NULL CHECK (amount BETWEEN 0 AND 999999999999),
    -- pending, completed or cancelled
    status TEXT NOT NULL,
    -- Why it was cancelled.
    reason TEXT,
    -- Names the reservation and the payment in the other modules.
    attempt TEXT NOT NULL UNIQUE,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);

CREATE INDEX orders_by_user ON orders_orders (user_id, id);
CREATE INDEX orders_by_status ON orders_orders (status, id);

CREATE TABLE orders_items (
    order_id BIGINT NOT NULL REFERENCES orders_orders (id),
    position BIGINT NOT NULL,
    sku TEXT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    -- Of one piece; unknown until the stock is reserved.
    price BIGINT,
    PRIMARY KEY (order_id, position)
);

-- Work under way on an order. The row goes, and with it the payment token, when the work ends.
CREATE TABLE orders_sagas (
    order_id BIGINT PRIMARY KEY REFERENCES orders_orders (id),
    -- forward: being placed; undoing: what was done is being taken back
    stage TEXT NOT NULL,
    -- Who works on it: an instance, its run of the program, and until when nobody else may take it over.
    owner TEXT NOT NULL,
    boot TEXT NOT NULL,
    lease_until_ms BIGINT NOT NULL,
    -- Counts takeovers. Only the latest claim may write.
    claim BIGINT NOT NULL,
    -- When to go on, and how often undoing has failed.
    due_ms BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    email TEXT,
    token TEXT,
    reason TEXT,
    -- What is to be taken back.
    undo_stock BOOLEAN NOT NULL,
    undo_payment BOOLEAN NOT NULL
);

CREATE INDEX orders_sagas_due ON orders_sagas (due_ms);

-- Idempotency keys of clients. Without an answer the first request is under way.
CREATE TABLE orders_keys (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    order_id BIGINT,
    answer TEXT,
    created_ms BIGINT NOT NULL
);

CREATE INDEX orders_keys_by_order ON orders_keys (order_id);
CREATE INDEX orders_keys_by_age ON orders_keys (created_ms);

-- Mail that is to be handed to the notifications.
CREATE TABLE orders_outbox (
    id {{auto_id}},
    key TEXT NOT NULL,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    tries BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    lease_until_ms BIGINT NOT NULL,
    -- True once it was refused for good.
    refused BOOLEAN NOT NULL
);

CREATE INDEX orders_outbox_due ON orders_outbox (refused, due_ms);

-- One row once the demo data were considered, so that they come only once.
CREATE TABLE orders_demo (
    id BIGINT PRIMARY KEY,
    done_ms BIGINT NOT NULL
);
