CREATE TABLE inventory_items (
    sku TEXT PRIMARY KEY,
    available BIGINT NOT NULL CHECK (available >= 0),
    price BIGINT NOT NULL CHECK (price BETWEEN 0 AND 999999999999)
);

CREATE TABLE inventory_reservations (
    id TEXT PRIMARY KEY,
    -- held, or released. One that was released before it was made has no lines and is never held.
    status TEXT NOT NULL,
    total BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);

CREATE TABLE inventory_reserved (
    reservation_id TEXT NOT NULL REFERENCES inventory_reservations (id),
    position BIGINT NOT NULL,
    sku TEXT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    -- Of one piece, as it was when the stock was reserved.
    price BIGINT NOT NULL CHECK (price BETWEEN 0 AND 999999999999),
    PRIMARY KEY (reservation_id, position)
);

-- One row once the demo data were considered, so that they come only once.
CREATE TABLE inventory_demo (
    id BIGINT PRIMARY KEY,
    done_ms BIGINT NOT NULL
);
