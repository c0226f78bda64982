"""The declared tables; every key begins with the tenant, moments are milliseconds since the epoch."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    UniqueConstraint,
)

from liveroom.adapters.store.dialect import ByteText, free_text

metadata = MetaData()


def _tenant() -> Column[str]:
    return Column("tenant", ByteText(20, ascii_only=True), primary_key=True)


def _id(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, ByteText(48, ascii_only=True), primary_key=key, nullable=False, server_default="")


def _text(name: str, length: int) -> Column[str]:
    return Column(name, free_text(length), nullable=False, default="", server_default="")


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default="0")


def _moment(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


accounts = Table(
    "accounts",
    metadata,
    _tenant(),
    _id("user_id", key=True),
    Column("username", ByteText(125), nullable=False),
    _text("name", 125),
    _text("avatar", 512),
    _text("tag", 32),
    _text("tag2", 32),
    Column("phone", ByteText(32, ascii_only=True), nullable=False, server_default=""),
    _text("email", 254),
    _moment("created_at"),
    # The registered salt, sealed; NULL once another back end vouches for the name.
    Column("salt_key", ByteText(16, ascii_only=True)),
    Column("salt", LargeBinary(2048)),
    # Where the user's log of events ends.
    _moment("position"),
    UniqueConstraint("tenant", "username", name="accounts_by_username"),
    Index("accounts_by_phone", "tenant", "phone"),
)

sessions = Table(
    "sessions",
    metadata,
    _tenant(),
    Column("sid", ByteText(32, ascii_only=True), primary_key=True),
    _id("user_id"),
    _moment("expires_at"),
    _moment("used_at"),
    # Whether it ever sent a keepalive: whoever beats is missed sooner.
    Column("beats", SmallInteger, nullable=False, server_default="0"),
    Index("sessions_by_user", "tenant", "user_id"),
    Index("sessions_by_expiry", "expires_at"),
)

# The log of ended sessions that every process follows; `ended_at` is the database's clock.
endings = Table(
    "endings",
    metadata,
    _tenant(),
    Column("sid", ByteText(32, ascii_only=True), primary_key=True),
    _moment("ended_at"),
    Index("endings_by_moment", "ended_at"),
)

# Every id that is or ever was an account ("account"), was generated for `user_id` ("generated"),
# or was chosen by a client ("room"). Rows stay for ever, so that no id is given out twice.
ids = Table(
    "ids",
    metadata,
    _tenant(),
    _id("id", key=True),
    Column("kind", ByteText(10, ascii_only=True), nullable=False),
    _id("user_id"),
)

rooms = Table(
    "rooms",
    metadata,
    _tenant(),
    _id("room_id", key=True),
    _count("opening"),
    Column("state", SmallInteger, nullable=False, server_default="2"),
    Column("category", ByteText(32), nullable=False, server_default=""),
    _text("title", 200),
    _text("subject", 64),
    _text("description", 512),
    _text("cover", 512),
    _id("owned_by"),
    _id("created_by"),
    _id("updated_by"),
    _moment("opened_at"),
    _moment("updated_at"),
    _count("inside"),
    _count("joined"),
    _count("places"),
    _count("anchors_online"),
    _count("owner_online"),
    _count("owner_seen"),
    # NULL while the room is visible or closed; `close_at` is NULL also where it never closes by itself.
    Column("hidden_since", BigInteger),
    Column("close_at", BigInteger),
    # Where the room's log of events ends, over all its openings.
    _moment("position"),
    Index("rooms_newest", "tenant", "state", "opened_at", "room_id"),
    Index("rooms_newest_of_category", "tenant", "state", "category", "opened_at", "room_id"),
    Index("rooms_most_joined", "tenant", "state", "joined", "opened_at", "room_id"),
    Index("rooms_most_joined_of_category", "tenant", "state", "category", "joined", "opened_at", "room_id"),
    Index("rooms_by_owner", "tenant", "owned_by", "state"),
    Index("rooms_to_close", "close_at"),
)

members = Table(
    "members",
    metadata,
    _tenant(),
    _id("room_id", key=True),
    Column("opening", Integer, primary_key=True, autoincrement=False),
    _id("user_id", key=True),
    Column("role", ByteText(32), nullable=False, server_default=""),
    Column("place", BigInteger),
    _moment("entered_at"),
    _count("anchor"),
    # NULL while the member is online, or no longer inside.
    Column("offline_since", BigInteger),
    Column("leave_at", BigInteger),
    Index("members_in_order", "tenant", "room_id", "opening", "place"),
    Index("members_by_user", "tenant", "user_id", "place"),
    Index("members_to_leave", "leave_at"),
)

# Openings that are over and whose member rows are still to be deleted.
finished = Table(
    "finished",
    metadata,
    _tenant(),
    _id("room_id", key=True),
    Column("opening", Integer, primary_key=True, autoincrement=False),
)

# What may differ outside from what these tables say; a row goes once it was carried over.
errands = Table(
    "errands",
    metadata,
    _tenant(),
    Column("kind", ByteText(8, ascii_only=True), primary_key=True),
    _id("subject", key=True),
    Column("mark", BigInteger, nullable=False, server_default="1"),
    _count("tries"),
    _moment("due_at"),
    _moment("taken_until"),
    Index("errands_due", "due_at"),
)

# What happened, in the order of each room's and each user's log; `body` is the event as it is told.
events = Table(
    "events",
    metadata,
    _tenant(),
    Column("about", ByteText(4, ascii_only=True), primary_key=True),
    _id("subject", key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", ByteText(24, ascii_only=True), nullable=False),
    _moment("at"),
    Column("body", LargeBinary(65_535), nullable=False),
    Index("events_by_moment", "at"),
)

# Logs of which a listener has not been told everything.
deliveries = Table(
    "deliveries",
    metadata,
    _tenant(),
    Column("listener", ByteText(32, ascii_only=True), primary_key=True),
    Column("about", ByteText(4, ascii_only=True), primary_key=True),
    _id("subject", key=True),
    _moment("position"),
    _moment("mark"),
    _count("tries"),
    _moment("failing_since"),
    _moment("due_at"),
    _moment("taken_until"),
    Index("deliveries_due", "tenant", "listener", "due_at"),
)

# What a listener was not told, however often it was tried.
dead_letters = Table(
    "dead_letters",
    metadata,
    _tenant(),
    Column("listener", ByteText(32, ascii_only=True), primary_key=True),
    Column("about", ByteText(4, ascii_only=True), primary_key=True),
    _id("subject", key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
    _moment("died_at"),
    Column("reason", ByteText(200), nullable=False, server_default=""),
    Index("dead_letters_by_moment", "died_at"),
)

# One row a data key that ever sealed a salt: a start that cannot open it is refused.
canaries = Table(
    "canaries",
    metadata,
    Column("salt_key", ByteText(16, ascii_only=True), primary_key=True),
    Column("sealed", LargeBinary(256), nullable=False),
)
