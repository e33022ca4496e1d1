"""requests are found by their words"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# FTS5 keeps its own tokens beside the words, by the documented triggers of an external-content table; the words are
# folded already (approvals/word_index.py).
SQLITE = (
    "CREATE VIRTUAL TABLE request_text USING fts5(words, content='request_words', content_rowid='number', "
    "columnsize=0, tokenize='unicode61 remove_diacritics 0')",
    "CREATE TRIGGER request_words_come AFTER INSERT ON request_words BEGIN "
    "INSERT INTO request_text(rowid, words) VALUES (new.number, new.words); END",
    "CREATE TRIGGER request_words_go AFTER DELETE ON request_words BEGIN "
    "INSERT INTO request_text(request_text, rowid, words) VALUES ('delete', old.number, old.words); END",
)
# With the usual statistics PostgreSQL takes a rare word for one in 200 and reads the table backwards to find it.
POSTGRESQL = (
    "CREATE INDEX request_text_words ON request_words USING gin (string_to_array(words, ' '))",
    "ALTER INDEX request_text_words ALTER COLUMN 1 SET STATISTICS 1000",
    "CREATE VIEW request_text AS SELECT number AS rowid, string_to_array(words, ' ') AS words FROM request_words",
)


def upgrade() -> None:
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP VIEW request_text")
        op.execute("DROP INDEX request_text_words")
        return
    for name in ("request_words_come", "request_words_go"):
        op.execute(f"DROP TRIGGER {name}")
    op.execute("DROP TABLE request_text")
