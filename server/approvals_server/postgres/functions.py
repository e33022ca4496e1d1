"""Functions that do something though the transaction is read only or rolled back: neither role may execute them."""

from typing import LiteralString

DURABLE: LiteralString = """p.proname IN ('pg_logical_emit_message', 'pg_cancel_backend', 'pg_terminate_backend')
        OR p.proname LIKE 'dblink%'"""
"""They write to the log of the database, disturb others, and reach other databases."""
EXECUTABLE: LiteralString = f"""
SELECT DISTINCT p.oid::regprocedure::text FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang, pg_roles r
WHERE pg_has_role(session_user, r.oid, 'MEMBER') AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
    AND has_schema_privilege(r.oid, p.pronamespace, 'USAGE') AND p.prorettype <> 'trigger'::regtype
    AND ({DURABLE} OR NOT l.lanpltrusted AND l.lanname NOT IN ('internal', 'c')) ORDER BY 1
"""  # noqa: S608 - made of constants
REVOKED: LiteralString = f"""-- Functions that act though a read is rolled back. This takes a superuser.
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT p.oid::regprocedure AS function FROM pg_proc p
        WHERE {DURABLE} LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', one.function);
    END LOOP;
END $$;"""  # noqa: S608 - made of constants
