"""The nouns of the domain, as frozen structs; moments are milliseconds since the Unix epoch."""

from enum import IntEnum, StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

DEFAULT_TENANT = "default"
Seconds = Annotated[int, Meta(ge=0, le=10**9)]


class PresencePolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """When silence means offline, in seconds; 0 is never."""

    beat_timeout_s: Seconds = 30
    silent_timeout_s: Seconds = 7200
    grace_s: Seconds = 10


class CategoryPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """What a room of one category does about absence, in seconds; 0 is never."""

    evict_after_s: Seconds = 60
    close_after_s: Seconds = 1800


class Webhook(Struct, frozen=True, forbid_unknown_fields=True):
    """An address that hears of events: of these kinds (none: of all), up to `max_batch` in a message.

    `secret` is as Standard Webhooks writes it, `whsec_` and Base64; of several, separated by blanks,
    each signs. `allow_private` lets it be an address that only this network knows.
    """

    url: str
    secret: str
    kinds: tuple[str, ...] = ()
    max_batch: Annotated[int, Meta(ge=1, le=100)] = 1
    allow_private: bool = False


class Tenant(Struct, frozen=True, forbid_unknown_fields=True):
    """One customer of a deployment: its own TRTC application, users, rooms and policies."""

    name: str = ""
    sdk_app_id: int = 0
    secret: str = ""
    administrator: str = "administrator"
    aliases: tuple[str, ...] = ()
    exclusive_rooms: Literal["off", "reject", "move"] = "off"
    reentry: Literal["refresh", "reject"] = "refresh"
    anchor_roles: frozenset[str] = frozenset({"anchor", "host"})
    avatars: tuple[str, ...] = ()
    oauth_secrets: dict[str, str] = field(default_factory=dict)
    im_callback_token: str = ""
    trtc_callback_key: str = ""
    presence: PresencePolicy = PresencePolicy()
    categories: dict[str, CategoryPolicy] = field(default_factory=dict)
    webhooks: dict[str, Webhook] = field(default_factory=dict)
    im_events: bool = False

    @property
    def wire_name(self) -> str:
        """The tenant as clients know it (`apaasAppId`): empty for the default one."""
        return "" if self.name == DEFAULT_TENANT else self.name

    @property
    def id_prefix(self) -> str:
        return "" if self.name == DEFAULT_TENANT else f"{self.name}-"

    def policy_of(self, category: str) -> CategoryPolicy:
        """What rooms of this category do about absence."""
        return self.categories.get(category, _BY_DEFAULT)


_BY_DEFAULT = CategoryPolicy()


class Account(Struct, frozen=True):
    """A user; every text is empty rather than absent."""

    tenant: str
    user_id: str
    username: str
    name: str = ""
    avatar: str = ""
    tag: str = ""
    tag2: str = ""
    phone: str = ""
    email: str = ""
    created_at: int = 0


class Credential(Struct, frozen=True):
    """What proves a username: the account, and its registered salt (None once it is vouched for)."""

    account: Account
    salt: str | None


class Session(Struct, frozen=True):
    """One login of one account; it lives until it is ended or `expires_at`."""

    tenant: str
    user_id: str
    sid: str
    expires_at: int


class SessionStanding(StrEnum):
    """What SQL says of a session."""

    LIVE = "live"
    ENDED = "ended"
    NO_ACCOUNT = "no account"


class Caller(Struct, frozen=True):
    """Who makes an authenticated call."""

    tenant: Tenant
    user_id: str
    sid: str


class RoomState(IntEnum):
    """What the wire calls `status`, and closed."""

    VISIBLE = 0
    HIDDEN = 1
    CLOSED = 2


class Room(Struct, frozen=True):
    """A room id and its latest opening.

    `inside`, `joined`, `anchors_online` (inside and online, the owner apart) and `owner_online` are
    counters kept in step with the member rows; `places` numbers the entries of this opening, so that
    members keep an order. A hidden room closes at `close_at`, if ever. `position` is where its log of
    events ends, for as long as the id exists.
    """

    tenant: str
    room_id: str
    opening: int = 0
    state: int = RoomState.CLOSED
    category: str = ""
    title: str = ""
    subject: str = ""
    description: str = ""
    cover: str = ""
    owned_by: str = ""
    created_by: str = ""
    updated_by: str = ""
    opened_at: int = 0
    updated_at: int = 0
    inside: int = 0
    joined: int = 0
    places: int = 0
    anchors_online: int = 0
    owner_online: int = 0
    owner_seen: int = 0
    hidden_since: int | None = None
    close_at: int | None = None
    position: int = 0

    @property
    def open(self) -> bool:
        return self.state != RoomState.CLOSED


class Member(Struct, frozen=True):
    """An account that entered an opening; `place` is its order among those inside, None once it left.

    `anchor` says whether its role made it one when it was last written, whatever the policy says now.
    Inside and offline it has an `offline_since`, and leaves at `leave_at`, if ever.
    """

    tenant: str
    room_id: str
    opening: int
    user_id: str
    role: str
    place: int | None
    entered_at: int
    anchor: int = 0
    offline_since: int | None = None
    leave_at: int | None = None


class MemberProfile(Struct, frozen=True):
    """A member as the list of users shows it."""

    user_id: str
    name: str
    avatar: str
    role: str
    online: bool


class RoomQuery(Struct, frozen=True):
    """Which visible rooms, in which order, which page; moments bound `opened_at` as [since, until)."""

    tenant: str
    category: str | None
    room_ids: tuple[str, ...] | None
    since: int | None
    until: int | None
    by_joined: bool
    offset: int
    limit: int
