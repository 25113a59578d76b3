-- The state of a daemon. One table per kind of record; `document` is the record as JSON and the only truth,
-- the other columns are computed from it so that an operator can ask questions:
--   sqlite3 /var/lib/sockerless/state.db 'SELECT name, state, task_arn FROM containers'
-- A change here needs a migration (migrations.py); a new field that has a default needs none.

CREATE TABLE containers (
    key TEXT PRIMARY KEY NOT NULL,
    document TEXT NOT NULL,
    name TEXT GENERATED ALWAYS AS (json_extract(document, '$.name')) VIRTUAL,
    state TEXT GENERATED ALWAYS AS (json_extract(document, '$.state')) VIRTUAL,
    image TEXT GENERATED ALWAYS AS (json_extract(document, '$.config.image')) VIRTUAL,
    exit_code INTEGER GENERATED ALWAYS AS (json_extract(document, '$.exit_code')) VIRTUAL,
    run_id TEXT GENERATED ALWAYS AS (json_extract(document, '$.run_id')) VIRTUAL,
    task_arn TEXT GENERATED ALWAYS AS (json_extract(document, '$.task.arn')) VIRTUAL,
    task_definition_arn TEXT GENERATED ALWAYS AS (json_extract(document, '$.task_definition_arn')) VIRTUAL,
    agent_address TEXT GENERATED ALWAYS AS (json_extract(document, '$.task.agent_address')) VIRTUAL,
    agent_token TEXT GENERATED ALWAYS AS (json_extract(document, '$.task.agent_token')) VIRTUAL,
    client_token TEXT GENERATED ALWAYS AS (json_extract(document, '$.task.request.client_token')) VIRTUAL
);

CREATE TABLE runs (
    key TEXT PRIMARY KEY NOT NULL,
    document TEXT NOT NULL,
    container_id TEXT GENERATED ALWAYS AS (json_extract(document, '$.container_id')) VIRTUAL,
    number INTEGER GENERATED ALWAYS AS (json_extract(document, '$.number')) VIRTUAL,
    task_arn TEXT GENERATED ALWAYS AS (json_extract(document, '$.task_arn')) VIRTUAL,
    log_stream TEXT GENERATED ALWAYS AS (json_extract(document, '$.log_stream')) VIRTUAL,
    exit_code INTEGER GENERATED ALWAYS AS (json_extract(document, '$.exit_code')) VIRTUAL
);

CREATE TABLE images (
    key TEXT PRIMARY KEY NOT NULL,
    document TEXT NOT NULL,
    id TEXT GENERATED ALWAYS AS (json_extract(document, '$.id')) VIRTUAL,
    digest TEXT GENERATED ALWAYS AS (json_extract(document, '$.digest')) VIRTUAL,
    manifest_digest TEXT GENERATED ALWAYS AS (json_extract(document, '$.manifest_digest')) VIRTUAL,
    architecture TEXT GENERATED ALWAYS AS (json_extract(document, '$.architecture')) VIRTUAL,
    config TEXT GENERATED ALWAYS AS (json_extract(document, '$.config')) VIRTUAL
);

CREATE TABLE image_files (
    key TEXT PRIMARY KEY NOT NULL,
    document TEXT NOT NULL
);

CREATE TABLE networks (
    key TEXT PRIMARY KEY NOT NULL,
    document TEXT NOT NULL,
    name TEXT GENERATED ALWAYS AS (json_extract(document, '$.name')) VIRTUAL,
    security_group_id TEXT GENERATED ALWAYS AS (json_extract(document, '$.security_group_id')) VIRTUAL,
    cloud_map_namespace_arn TEXT
        GENERATED ALWAYS AS (json_extract(document, '$.cloud_map_namespace_arn')) VIRTUAL
);

CREATE TABLE volumes (
    key TEXT PRIMARY KEY NOT NULL,
    document TEXT NOT NULL,
    driver TEXT GENERATED ALWAYS AS (json_extract(document, '$.driver')) VIRTUAL,
    efs_access_point_id TEXT GENERATED ALWAYS AS (json_extract(document, '$.efs_access_point_id')) VIRTUAL
);

CREATE TABLE execs (
    key TEXT PRIMARY KEY NOT NULL,
    document TEXT NOT NULL,
    container_id TEXT GENERATED ALWAYS AS (json_extract(document, '$.container_id')) VIRTUAL,
    exit_code INTEGER GENERATED ALWAYS AS (json_extract(document, '$.exit_code')) VIRTUAL
);

CREATE TABLE cleanup_jobs (
    key TEXT PRIMARY KEY NOT NULL,
    document TEXT NOT NULL,
    kind TEXT GENERATED ALWAYS AS (json_extract(document, '$.kind')) VIRTUAL,
    target TEXT GENERATED ALWAYS AS (json_extract(document, '$.target')) VIRTUAL,
    attempts INTEGER GENERATED ALWAYS AS (json_extract(document, '$.attempts')) VIRTUAL,
    last_error TEXT GENERATED ALWAYS AS (json_extract(document, '$.last_error')) VIRTUAL
);

CREATE TABLE definitions (
    key TEXT PRIMARY KEY NOT NULL,
    document TEXT NOT NULL,
    arn TEXT GENERATED ALWAYS AS (json_extract(document, '$.arn')) VIRTUAL
);
