"""The taxonomy, in SQL: categories, attributes, which category asks for which attribute.

Who changes any of it holds the tree's row of ``catalog_changes``, so the three tables change as one.
"""

TAXONOMY = r"""
CREATE TABLE categories (
    id uuid PRIMARY KEY,
    parent_id uuid REFERENCES categories (id),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    slug text NOT NULL UNIQUE CHECK (length(slug) <= 100 AND slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    -- The ids from the root to itself. A category's descendants are those whose path holds its id; products hold
    -- only their own category, so an edit of the tree rewrites none of them.
    path uuid[] NOT NULL,
    -- Siblings are shown by position, then by name.
    position integer NOT NULL DEFAULT 0 CHECK (position BETWEEN 0 AND 1000000),
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT categories_path CHECK (
        cardinality(path) BETWEEN 1 AND 10
        AND path[cardinality(path)] = id AND path[cardinality(path) - 1] IS NOT DISTINCT FROM parent_id)
);
CREATE INDEX categories_children ON categories (parent_id, position, name, id);
CREATE INDEX categories_path ON categories USING gin (path);

CREATE TABLE attributes (
    id uuid PRIMARY KEY,
    code text NOT NULL UNIQUE CHECK (length(code) <= 50 AND code ~ '^[a-z][a-z0-9_]*$'),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    kind text NOT NULL CHECK (kind IN ('text', 'number', 'boolean', 'choice', 'multi_choice', 'date')),
    unit text CHECK (length(unit) BETWEEN 1 AND 20),
    required boolean NOT NULL DEFAULT false,
    choices text[] NOT NULL DEFAULT '{}' CHECK (cardinality(choices) <= 500),
    variant_making boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT attributes_choices CHECK ((kind IN ('choice', 'multi_choice')) = (cardinality(choices) > 0)),
    CONSTRAINT attributes_variant_making CHECK (NOT variant_making OR kind = 'choice')
);

CREATE TABLE category_attributes (
    category_id uuid NOT NULL REFERENCES categories (id),
    attribute_id uuid NOT NULL REFERENCES attributes (id),
    -- NULL: as the attribute says, or an assignment further up.
    required boolean,
    position integer NOT NULL DEFAULT 0 CHECK (position BETWEEN 0 AND 1000000),
    PRIMARY KEY (category_id, attribute_id)
);
CREATE INDEX category_attributes_attribute ON category_attributes (attribute_id);
"""


def statements() -> list[str]:
    """Return the statements in the order they run."""
    return [TAXONOMY]
