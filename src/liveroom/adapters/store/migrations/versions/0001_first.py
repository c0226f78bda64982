"""The first schema: accounts, sessions, ids, rooms, members."""

import sqlalchemy as sa
from alembic import op

from liveroom.adapters.store.dialect import ByteText, free_text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _tenant() -> sa.Column[str]:
    return sa.Column("tenant", ByteText(20, ascii_only=True), primary_key=True)


def _id(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, ByteText(48, ascii_only=True), primary_key=key, nullable=False, server_default="")


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, free_text(length), nullable=False, server_default="")


def _number(name: str, kind: type[sa.types.TypeEngine[int]], default: int = 0) -> sa.Column[int]:
    return sa.Column(name, kind, nullable=False, server_default=str(default))


def upgrade() -> None:
    _accounts()
    _sessions()
    op.create_table(
        "ids",
        _tenant(),
        _id("id", key=True),
        sa.Column("kind", ByteText(10, ascii_only=True), nullable=False),
        _id("user_id"),
    )
    _rooms()
    _members()
    _errands()
    op.create_table(
        "canaries",
        sa.Column("salt_key", ByteText(16, ascii_only=True), primary_key=True),
        sa.Column("sealed", sa.LargeBinary(256), nullable=False),
    )


def _accounts() -> None:
    op.create_table(
        "accounts",
        _tenant(),
        _id("user_id", key=True),
        sa.Column("username", ByteText(125), nullable=False),
        _text("name", 125),
        _text("avatar", 512),
        _text("tag", 32),
        _text("tag2", 32),
        sa.Column("phone", ByteText(32, ascii_only=True), nullable=False, server_default=""),
        _text("email", 254),
        _number("created_at", sa.BigInteger),
        sa.Column("salt_key", ByteText(16, ascii_only=True)),
        sa.Column("salt", sa.LargeBinary(2048)),
        sa.UniqueConstraint("tenant", "username", name="accounts_by_username"),
    )
    op.create_index("accounts_by_phone", "accounts", ["tenant", "phone"])


def _sessions() -> None:
    op.create_table(
        "sessions",
        _tenant(),
        sa.Column("sid", ByteText(32, ascii_only=True), primary_key=True),
        _id("user_id"),
        _number("expires_at", sa.BigInteger),
        _number("used_at", sa.BigInteger),
        _number("beats", sa.SmallInteger),
    )
    op.create_index("sessions_by_user", "sessions", ["tenant", "user_id"])
    op.create_index("sessions_by_expiry", "sessions", ["expires_at"])
    op.create_table(
        "endings",
        _tenant(),
        sa.Column("sid", ByteText(32, ascii_only=True), primary_key=True),
        _number("ended_at", sa.BigInteger),
    )
    op.create_index("endings_by_moment", "endings", ["ended_at"])


def _rooms() -> None:
    op.create_table(
        "rooms",
        _tenant(),
        _id("room_id", key=True),
        _number("opening", sa.Integer),
        _number("state", sa.SmallInteger, 2),
        sa.Column("category", ByteText(32), nullable=False, server_default=""),
        _text("title", 200),
        _text("subject", 64),
        _text("description", 512),
        _text("cover", 512),
        _id("owned_by"),
        _id("created_by"),
        _id("updated_by"),
        _number("opened_at", sa.BigInteger),
        _number("updated_at", sa.BigInteger),
        _number("inside", sa.Integer),
        _number("joined", sa.Integer),
        _number("places", sa.Integer),
        _number("anchors_online", sa.Integer),
        _number("owner_online", sa.Integer),
        _number("owner_seen", sa.Integer),
        sa.Column("hidden_since", sa.BigInteger),
        sa.Column("close_at", sa.BigInteger),
    )
    _indexes_of_rooms()


def _indexes_of_rooms() -> None:
    newest = ["opened_at", "room_id"]
    op.create_index("rooms_newest", "rooms", ["tenant", "state", *newest])
    op.create_index("rooms_newest_of_category", "rooms", ["tenant", "state", "category", *newest])
    op.create_index("rooms_most_joined", "rooms", ["tenant", "state", "joined", *newest])
    op.create_index("rooms_most_joined_of_category", "rooms", ["tenant", "state", "category", "joined", *newest])
    op.create_index("rooms_by_owner", "rooms", ["tenant", "owned_by", "state"])
    op.create_index("rooms_to_close", "rooms", ["close_at"])


def _members() -> None:
    op.create_table(
        "members",
        _tenant(),
        _id("room_id", key=True),
        sa.Column("opening", sa.Integer, primary_key=True, autoincrement=False),
        _id("user_id", key=True),
        sa.Column("role", ByteText(32), nullable=False, server_default=""),
        sa.Column("place", sa.BigInteger),
        _number("entered_at", sa.BigInteger),
        _number("anchor", sa.Integer),
        sa.Column("offline_since", sa.BigInteger),
        sa.Column("leave_at", sa.BigInteger),
    )
    op.create_index("members_in_order", "members", ["tenant", "room_id", "opening", "place"])
    op.create_index("members_by_user", "members", ["tenant", "user_id", "place"])
    op.create_index("members_to_leave", "members", ["leave_at"])
    op.create_table(
        "finished",
        _tenant(),
        _id("room_id", key=True),
        sa.Column("opening", sa.Integer, primary_key=True, autoincrement=False),
    )


def _errands() -> None:
    op.create_table(
        "errands",
        _tenant(),
        sa.Column("kind", ByteText(8, ascii_only=True), primary_key=True),
        _id("subject", key=True),
        _number("mark", sa.BigInteger, 1),
        _number("tries", sa.Integer),
        _number("due_at", sa.BigInteger),
        _number("taken_until", sa.BigInteger),
    )
    op.create_index("errands_due", "errands", ["due_at"])


def downgrade() -> None:
    for table in ("errands", "finished", "members", "rooms", "ids", "endings", "sessions", "accounts", "canaries"):
        op.drop_table(table)
