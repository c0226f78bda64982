"""Events: a log of each room and user, and who has to be told of what."""

import sqlalchemy as sa
from alembic import op

from liveroom.adapters.store.dialect import ByteText

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _ascii(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, ByteText(length, ascii_only=True), primary_key=True)


def _subject() -> sa.Column[str]:
    return sa.Column("subject", ByteText(48, ascii_only=True), primary_key=True, server_default="")


def _number(name: str, kind: type[sa.types.TypeEngine[int]] = sa.BigInteger) -> sa.Column[int]:
    return sa.Column(name, kind, nullable=False, server_default="0")


def upgrade() -> None:
    # An older version of the service may go on with these tables: it lets the new columns be.
    for table in ("accounts", "rooms"):
        op.add_column(table, _number("position"))
    _events()
    _deliveries()


def _events() -> None:
    op.create_table(
        "events",
        _ascii("tenant", 20),
        _ascii("about", 4),
        _subject(),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", ByteText(24, ascii_only=True), nullable=False),
        _number("at"),
        sa.Column("body", sa.LargeBinary(65_535), nullable=False),
    )
    op.create_index("events_by_moment", "events", ["at"])


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        _ascii("tenant", 20),
        _ascii("listener", 32),
        _ascii("about", 4),
        _subject(),
        _number("position"),
        _number("mark"),
        _number("tries", sa.Integer),
        _number("failing_since"),
        _number("due_at"),
        _number("taken_until"),
    )
    op.create_index("deliveries_due", "deliveries", ["tenant", "listener", "due_at"])
    op.create_table(
        "dead_letters",
        _ascii("tenant", 20),
        _ascii("listener", 32),
        _ascii("about", 4),
        _subject(),
        sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        _number("died_at"),
        sa.Column("reason", ByteText(200), nullable=False, server_default=""),
    )
    op.create_index("dead_letters_by_moment", "dead_letters", ["died_at"])


def downgrade() -> None:
    for table in ("dead_letters", "deliveries", "events"):
        op.drop_table(table)
    for table in ("rooms", "accounts"):
        op.drop_column(table, "position")
